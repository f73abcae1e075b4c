"""Draw fields of view whose objects are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, check_same, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.draw import ADULT_MIX, class_weights, write_png, write_table

if TYPE_CHECKING:
    import numpy as np

    from leukopy.synthesis import Appearance, DrawnField

FIELDS_FILE = "fields.csv"

Pixels = Annotated[int, Field(ge=100, le=10_000)]

FIELD_COLUMNS = (
    "field", "kind", "class", "left", "top", "width", "height", "diameter_um", "cut", "overlapping", "visible",
    "um_per_px",
)  # fmt: skip
"""One row per object: its field by the name that analysing the folder ``fields`` gives it, then `ObjectTruth`."""


class DrawFieldsSettings(Settings):
    """Settings of `draw fields`."""

    fields: int = Field(default=20, ge=1, le=100_000)
    """Fields to draw."""
    cells: float = Field(default=8, ge=0, le=200)
    """Mean number of leukocytes of a field."""
    mix: dict[str, float] = Field(default_factory=ADULT_MIX.copy)
    """Weight of each class among the leukocytes, by its code; platelets depend on the red cells."""
    size: tuple[Pixels, Pixels] = (1200, 1600)
    """Height and width of a field, in pixels."""
    um_per_px: float = Field(default=0.1, ge=0.05, le=0.5)
    """Micrometres per pixel."""
    conditions: Literal["clean", "random"] = "clean"
    """A clean monolayer in focus, or every field in its own state: crowding, focus, artefacts, light."""
    appearance: Literal["pbc", "random"] = "pbc"
    """Laboratory: PBC Barcelona, or one at random (by the seed)."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same fields."""


@dataclass(frozen=True)
class DrawFieldsResult:
    """The drawn fields and their truth."""

    fields: Path
    """The folder of the fields, input of ``leukopy analyze``."""
    truth: Path
    counts: dict[str, int]
    """Fine class code -> leukocytes of which a pixel lies on a field, in the order of the taxonomy."""
    objects: dict[str, int]
    """Kind of object -> number on all fields."""


def draw_fields(
    settings: DrawFieldsSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> DrawFieldsResult:
    """Draw fields into ``out``.

    Written: ``fields/field_0001.png`` …; ``fields.csv``, one row per leukocyte, red cell, platelet and platelet clump
    on a field, and per distractor (an artefact, smudge cell or bare nucleus); ``run.json``. The same settings give the
    same pixels.

    Args:
        settings: what to draw.
        out: the folder of the fields and their truth.
        resume: resume the interrupted run in ``out``; existing pictures are not written again.
        overwrite: overwrite the results in ``out``.
        progress: reports the fields drawn.

    Raises:
        SettingsError: ``mix`` names no fine class or weighs nothing.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    import numpy as np

    from leukopy.synthesis import PBC_LIKE, random_appearance
    from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS

    codes, _ = class_weights(settings.mix | {"PLT": 0})
    run = record("draw fields", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    look = PBC_LIKE if settings.appearance == "pbc" else random_appearance(settings.seed)
    look = look.model_copy(update={"um_per_px": settings.um_per_px})
    rng = np.random.default_rng([settings.seed, 2])
    rows: list[tuple[str | int | float, ...]] = []
    counts, objects = dict.fromkeys(codes, 0), dict.fromkeys(OBJECTS, 0)
    progress("drawing fields", 0, settings.fields)
    for number in range(1, settings.fields + 1):
        name = f"field_{number:04d}.png"
        field = _field(settings, look, rng)
        write_png(out / "fields" / name, field.image)
        rows += [(name, *each, field.um_per_px) for each in (*field.objects, *field.distractors)]
        for each in field.objects:
            objects[each.kind] += 1
            if each.kind == LEUKOCYTE:
                counts[each.code] += 1
        progress("drawing fields", number, settings.fields)
    write_table(out / FIELDS_FILE, FIELD_COLUMNS, rows)
    finish(out, run, counts=counts, objects=objects)
    return DrawFieldsResult(out / "fields", out / FIELDS_FILE, counts, objects)


def _field(settings: DrawFieldsSettings, look: Appearance, rng: np.random.Generator) -> DrawnField:
    from leukopy.synthesis import Scene, draw_filled_field, random_scene

    codes, shares = class_weights(settings.mix | {"PLT": 0})
    counts = dict(zip(codes, rng.multinomial(rng.poisson(settings.cells), shares).tolist(), strict=True))
    seed = int(rng.integers(2**32))
    scene = Scene() if settings.conditions == "clean" else random_scene(seed)
    return draw_filled_field(counts, seed=seed, appearance=look, size=settings.size, scene=scene)
