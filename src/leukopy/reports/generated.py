"""Figures of generated pictures, the pictures themselves, and sheets for the eye."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leukopy.bundle import DatasetUse
from leukopy.core.files import atomic_path, write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.generated import CellPictures, Copies
from leukopy.evaluation.intervals import Estimate
from leukopy.synthesis import contact_sheet

MANIFEST_FILE, REPORT_FILE, SUMMARY_FILE = "made.csv", "generated.json", "generated.md"

_ON_SHEET = 8
_PAIRS = 20
_BLINDED = 60
_COLUMNS = 10
_TILE = 96


class Look(NamedTuple):
    """Made pictures in the look of one laboratory."""

    kind: str
    """``made`` out of noise, or ``moved``: known cells of the first source."""
    laboratory: str
    pictures: int
    classes: tuple[str, ...]
    """Classes over which the distances are averaged."""
    distance: Estimate | None
    """Kernel distance to held-out real pictures of the laboratory; None: too few."""
    floor: Estimate | None
    """That of its training pictures: what perfect pictures would have."""
    copies: Copies


class FittedTo(NamedTuple):
    """A classifier on features, fitted to made pictures alone or to as many real ones."""

    kind: str
    """``made`` or ``real``."""
    pictures: int
    tested: int
    """Real validation pictures."""
    f1: dict[str, float]
    """By fine class."""

    @property
    def macro_f1(self) -> float:
        """Mean over the classes."""
        return float(np.mean(list(self.f1.values())))


class Closest(NamedTuple):
    """The nearest training picture of each made one."""

    rows: NDArray[np.intp]
    distances: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GeneratedReport:
    """Made pictures and their figures."""

    title: str
    limits: tuple[str, ...]
    looks: tuple[Look, ...]
    fitted: tuple[FittedTo, ...]
    """Empty where fewer than two fine classes were made."""
    made: Mapping[str, CellPictures]
    """By kind."""
    closest: Mapping[str, Closest]
    """By kind."""
    train: CellPictures
    val: CellPictures
    trained_on: tuple[DatasetUse, ...] = ()
    """Data sets of the training."""


def write_generated(out: Path, report: GeneratedReport, provenance: Mapping[str, Any]) -> None:
    """Write the pictures and the figures.

    ``made/`` and ``moved/`` hold the pictures, ``made.csv`` lists them as a manifest that a training takes,
    ``generated.json`` and ``generated.md`` have the figures. For the eye: ``sheet_<laboratory>.png``; ``closest.png``,
    the made pictures nearest to a training picture beside it; ``blinded.png``, real and made pictures in random order,
    with its answers in ``blinded_key.csv``. The last two show real cells: keep them where the real cells may lie.

    Raises:
        OutputError: a file cannot be written.
    """
    _write_pictures(out, report)
    for name in sorted(set(report.made["made"].laboratories)):
        _save(out / f"sheet_{name}.png", contact_sheet(_some(report.made["made"], name), tile=_TILE))
    _save(out / "closest.png", _tiles(list(_pairs(report)), 2 * (_COLUMNS // 2)))
    _write_blinded(out, report)
    looks = [
        {
            **look._asdict(),
            "distance": look.distance and asdict(look.distance),
            "floor": look.floor and asdict(look.floor),
            "copies": look.copies._asdict(),
        }
        for look in report.looks
    ]
    record = {
        "use": RESEARCH_USE_ONLY,
        "title": report.title,
        "trained_on": [source.model_dump() for source in report.trained_on],
        "limits": report.limits,
        "looks": looks,
        "fitted": [{**row._asdict(), "macro_f1": row.macro_f1} for row in report.fitted],
        "provenance": provenance,
    }
    write_json(out / REPORT_FILE, record)
    write_text(out / SUMMARY_FILE, _summary(report))


def _write_pictures(out: Path, report: GeneratedReport) -> None:
    rows = []
    for kind, pictures in report.made.items():
        (out / kind).mkdir(exist_ok=True)
        for number, pixels in enumerate(pictures.pixels, start=1):
            path = out / kind / f"{kind}_{number:06}.png"
            _save(path, pixels)
            code, laboratory = str(pictures.codes[number - 1]), str(pictures.laboratories[number - 1])
            rows.append((f"{kind}/{path.name}", code, code, f"{kind} {laboratory}", "train"))
    with atomic_path(out / MANIFEST_FILE) as temporary:
        pl.DataFrame(rows, ["path", "label", "code", "slide", "split"], orient="row").write_csv(temporary)


def _some(pictures: CellPictures, laboratory: str) -> dict[str, Sequence[NDArray[np.uint8]]]:
    codes = sorted(set(pictures.codes[pictures.laboratories == laboratory]))
    return {code: list(pictures.pixels[pictures.of(laboratory, code)][:_ON_SHEET]) for code in codes}


def _pairs(report: GeneratedReport) -> Iterator[NDArray[np.uint8]]:
    """Each of the nearest made pictures, and the training picture."""
    for kind, pictures in report.made.items():
        rows, distances = report.closest[kind]
        for place in distances.argsort()[:_PAIRS]:
            yield pictures.pixels[place]
            yield report.train.pixels[rows[place]]


def _write_blinded(out: Path, report: GeneratedReport) -> None:
    """As many real pictures as made ones, of the same classes and laboratories, in random order."""
    rng, made, val = np.random.default_rng(0), report.made["made"], report.val
    tiles: list[tuple[NDArray[np.uint8], str, str, str]] = []
    for row in rng.permutation(len(made)):
        code, laboratory = str(made.codes[row]), str(made.laboratories[row])
        real = np.flatnonzero(val.of(laboratory, code))
        if len(real) and len(tiles) < _BLINDED:
            tiles.append((made.pixels[row], "made", code, laboratory))
            tiles.append((val.pixels[rng.choice(real)], "real", code, laboratory))
    order = rng.permutation(len(tiles))
    if not len(order):
        return
    _save(out / "blinded.png", _tiles([tiles[place][0] for place in order], _COLUMNS, numbered=True))
    key = [(number, *tiles[place][1:]) for number, place in enumerate(order, start=1)]
    with atomic_path(out / "blinded_key.csv") as temporary:
        pl.DataFrame(key, ["number", "kind", "code", "laboratory"], orient="row").write_csv(temporary)


def _tiles(pictures: Sequence[NDArray[np.uint8]], columns: int, *, numbered: bool = False) -> NDArray[np.uint8]:
    """Pictures side by side."""
    step = _TILE + 4
    sheet = Image.new("RGB", (columns * step, -(-len(pictures) // columns) * step), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for place, pixels in enumerate(pictures):
        left, top = place % columns * step, place // columns * step
        sheet.paste(Image.fromarray(pixels).resize((_TILE, _TILE), Image.Resampling.BICUBIC), (left, top))
        if numbered:
            pen.text(
                (left + 3, top + 2), str(place + 1), fill="#000000", font=font, stroke_width=2, stroke_fill="white"
            )
    return np.asarray(sheet)


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")


def _summary(report: GeneratedReport) -> str:
    lines = [
        f"# {report.title}", "", RESEARCH_USE_ONLY, "",
        "Distance: kernel inception distance to held-out real pictures, mean over the classes, in features of a "
        "network that learnt from ImageNet alone; the floor is that of real training pictures. Copies: median "
        "distance to the nearest training picture, over that of held-out real pictures (1 or more: nothing is "
        "copied); close: share nearer than 1 % of the held-out ones.", "",
        "| kind | laboratory | pictures | distance | floor | copies | close |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {look.kind} | {look.laboratory} | {look.pictures:,} | {shown(look.distance)} | {shown(look.floor)} | "
        f"{look.copies.ratio:.2f} | {look.copies.close:.3f} |"
        for look in report.looks
    ]
    if report.fitted:
        codes = list(report.fitted[0].f1)
        lines += [
            "", f"F1 of a classifier fitted to the pictures, on {report.fitted[0].tested:,} real validation cells:", "",
            f"| fitted to | pictures | macro F1 | {' | '.join(codes)} |", "|---|---|---|" + "---|" * len(codes),
        ]  # fmt: skip
        lines += [
            f"| {row.kind} | {row.pictures:,} | {row.macro_f1:.3f} | "
            + " | ".join(f"{row.f1[code]:.3f}" for code in codes) + " |"
            for row in report.fitted
        ]  # fmt: skip
    sources = [f"- Learnt from {one.images:,} images of {one.name} ({one.licence})." for one in report.trained_on]
    lines += ["", *sources, *(f"- {limit}" for limit in report.limits)]
    return "\n".join(lines) + "\n"


def shown(found: Estimate | None) -> str:
    """A distance with its range, in words."""
    if found is None or found.value is None:
        return "too few"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
