"""Draw a slide of single cells of known class, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, check_same, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leukopy.synthesis import Appearance, DrawnCell

TRUTH_FILE = "truth.csv"
SHEET_FILE = "sheet.png"

ADULT_MIX: dict[str, float] = {
    "SNE": 54, "BNE": 4, "EO": 3, "BA": 1, "LY": 28, "MO": 7, "MMY": 1, "MY": 1, "PMY": 1,
    "ERB": 2, "PLT": 4,
}  # fmt: skip
"""Per 100 leukocytes: an adult with a slight left shift, so that every class is seen."""

_ON_SHEET = 6


class DrawSettings(Settings):
    """Settings of `draw cells`."""

    cells: int = Field(default=200, ge=0, le=1_000_000)
    """Cells to draw, shared out as in an adult's blood."""
    per_class: int | None = Field(default=None, ge=1, le=100_000)
    """Cells of each class; replaces --cells."""
    mix: dict[str, float] = Field(default_factory=ADULT_MIX.copy)
    """Weight of each class, by its code."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same slide."""
    size: int = Field(default=360, ge=32, le=2048)
    """Side of a cell's picture, in pixels."""
    appearance: Literal["pbc", "random"] = "pbc"
    """Laboratory: PBC Barcelona, or one at random (by the seed)."""


@dataclass(frozen=True)
class DrawResult:
    """The drawn slide and its files."""

    folder: Path
    cells: Path
    """The folder of the cells' pictures, input of ``leukopy analyze``."""
    truth: Path
    """Their classes, boxes and areas; a manifest too."""
    counts: dict[str, int]
    """Fine class code -> cells, in the order of the taxonomy."""


def draw(
    settings: DrawSettings, out: Path, *, resume: bool = False, overwrite: bool = False, progress: Progress = silent
) -> DrawResult:
    """Draw a slide into ``out``.

    Written: ``cells/cell_0001.png`` …, whose names and order do not tell the class; ``truth.csv``, one row per cell
    (``cell_id`` is the name that analysing the folder ``cells`` gives it); ``sheet.png``, some cells of each class;
    ``run.json``. The same settings give the same pixels.

    Args:
        settings: what to draw.
        out: the slide's folder.
        resume: resume the interrupted slide in ``out``; existing pictures are not written again.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells drawn.

    Raises:
        SettingsError: ``mix`` names no fine class or weighs nothing.
        OutputError: ``out`` holds something else or another slide, or cannot be written.
    """
    from leukopy.synthesis import PBC_LIKE, random_appearance

    counts = _counts(settings)
    run = record("draw", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    appearance = PBC_LIKE if settings.appearance == "pbc" else random_appearance(settings.seed)
    _draw_cells(settings, counts, appearance, out, progress)
    finish(out, run, counts=counts)
    return DrawResult(out, out / "cells", out / TRUTH_FILE, counts)


_COLUMNS = (
    "cell_id", "path", "label", "group", "left", "top", "right", "bottom",  # the box in pixels; right, bottom exclusive
    "cell_area_um2", "nucleus_area_um2", "um_per_px",
)  # fmt: skip


def _row(cell_id: str, path: str, group: str, cell: DrawnCell) -> tuple[str | int | float, ...]:
    """Truth of one cell, in the order of ``_COLUMNS``."""
    areas = (float(mask.sum()) * cell.um_per_px**2 for mask in (cell.cell_mask, cell.nucleus_mask))
    return (cell_id, path, cell.code, group, *cell.box, *areas, cell.um_per_px)


def write_table(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str | int | float, ...]]) -> None:
    """Write rows as CSV."""
    import polars as pl

    with atomic_path(path) as temporary:
        table = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
        table.write_csv(temporary, float_precision=4)


def write_png(path: Path, image: NDArray[np.uint8], colours: int | None = None) -> None:
    """Write RGB pixels unless they are there; with ``colours`` the file is smaller and holds that many shades."""
    if path.exists():  # only where a slide is resumed: a file with its final name is complete
        return
    from PIL import Image

    picture = Image.fromarray(image)
    if colours:  # an octree keeps rare hues, such as the eosinophil's
        picture = picture.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=9 if colours else 1)


def class_weights(mix: dict[str, float]) -> tuple[list[str], NDArray[np.float64]]:
    """Fine codes in the order of the taxonomy, and their shares, which sum to 1."""
    import numpy as np

    from leukopy.core.errors import SettingsError
    from leukopy.taxonomy import FINE

    codes = [cell.code for cell in FINE]
    if strange := sorted(set(mix) - set(codes)):
        raise SettingsError(f"mix: {', '.join(strange)} cannot be drawn; those that can: {', '.join(codes)}.")
    weights = np.array([mix.get(code, 0.0) for code in codes])
    if (weights < 0).any() or not 0 < weights.sum() < np.inf:
        raise SettingsError("mix: weights must not be negative, and at least one must be above 0.")
    return codes, weights / weights.sum()


def _counts(settings: DrawSettings) -> dict[str, int]:
    """Fine class code -> cells; the remainders of ``mix`` go to the largest (Hare quota)."""
    import numpy as np

    codes, shares = class_weights(settings.mix)
    if settings.per_class is not None:
        return dict.fromkeys(codes, settings.per_class)
    exact = shares * settings.cells
    whole = np.floor(exact).astype(int)
    left = settings.cells - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return {code: int(count) for code, count in zip(codes, whole, strict=True)}


def _draw_cells(
    settings: DrawSettings, counts: dict[str, int], appearance: Appearance, out: Path, progress: Progress
) -> None:
    from leukopy.synthesis import contact_sheet

    rows = []
    shown: dict[str, list[NDArray[np.uint8]]] = {code: [] for code in counts}
    total = sum(counts.values())
    progress("drawing cells", 0, total)
    for number, cell in enumerate(_cells(settings, counts, appearance), start=1):
        name = f"cell_{number:04d}.png"
        write_png(out / "cells" / name, cell.image)
        rows.append(_row(name, f"cells/{name}", f"drawn-{settings.seed}", cell))
        if len(shown[cell.code]) < _ON_SHEET:
            shown[cell.code].append(cell.image)
        progress("drawing cells", number, total)
    write_table(out / TRUTH_FILE, _COLUMNS, rows)
    if rows:
        write_png(out / SHEET_FILE, contact_sheet(shown), colours=256)


def _cells(settings: DrawSettings, counts: dict[str, int], appearance: Appearance) -> Iterator[DrawnCell]:
    """The cells in an order that does not tell their classes."""
    import numpy as np

    from leukopy.synthesis import draw_cell

    codes = [code for code, count in counts.items() for _ in range(count)]
    np.random.default_rng(settings.seed).shuffle(codes)
    seeds = np.random.SeedSequence(settings.seed).generate_state(len(codes))
    for code, seed in zip(codes, seeds, strict=True):
        yield draw_cell(code, seed=int(seed), appearance=appearance, size=settings.size)
