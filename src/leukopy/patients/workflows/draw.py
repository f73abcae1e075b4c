"""Draw patients: folders of drawn lymphocytes and a table, whose truth is known. No claim of realism."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    from leukopy.patients.drawn import DrawnPatient

PATIENTS_FILE = "patients.csv"
TRUTH_FILE = "truth.csv"

_PATIENT_COLUMNS = ("patient_id", "label", "age", "lymphocytes", "gender")
_TRUTH_COLUMNS = ("cell_id", "path", "patient_id", "label", "kind", "cell_area_um2", "nucleus_area_um2")

Cells = Annotated[int, Field(ge=1, le=1000)]

_Row = tuple[str | int | float | None, ...]


class DrawPatientsSettings(Settings):
    """All that decides what is drawn."""

    patients: int = Field(default=24, ge=1, le=10_000)
    """Patients to draw."""
    tumoral: float = Field(default=0.6, ge=0, le=1)
    """Share of tumoral patients."""
    cells: tuple[Cells, Cells] = (20, 40)
    """Fewest and most cells of a patient."""
    labels: bool = True
    """Write the labels into the table. Without them it is a table of new patients; truth.csv always holds them."""
    size: int = Field(default=224, ge=32, le=2048)
    """Side of a picture, in pixels."""
    appearance: Literal["pbc", "random"] = "pbc"
    """Laboratory: PBC Barcelona, or one at random (by the seed)."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same patients."""

    @model_validator(mode="after")
    def _fewest_first(self) -> Self:
        if self.cells[0] > self.cells[1]:
            raise ValueError("cells: give the fewest before the most")
        return self


@dataclass(frozen=True)
class DrawPatientsResult:
    """What was drawn, and where it lies."""

    folder: Path
    """What `open_cohort` and the other commands for patients are given."""
    truth: Path
    reactive: int
    tumoral: int
    cells: int


def draw_patients(
    settings: DrawPatientsSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> DrawPatientsResult:
    """Draw patients into ``out``, laid out as `open_cohort` reads it.

    Written: ``patients.csv``, one row per patient; ``D1/cell_001.png`` …, a folder of lymphocytes for each;
    ``truth.csv``, one row per cell with its patient's label, its kind and its areas; ``run.json``. The same settings
    give the same pixels. These are drawings to try leukopy with, not patients: see `leukopy.patients.drawn`.

    Args:
        settings: what to draw.
        out: a folder of its own.
        overwrite: replace the patients that an earlier run drew there.
        progress: told of the patients drawn.

    Raises:
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.patients.drawn import draw_cohort
    from leukopy.synthesis import PBC_LIKE, random_appearance

    run = record("patients draw", settings)
    begin(out, run, overwrite=overwrite)
    drawn = draw_cohort(
        settings.patients,
        seed=settings.seed,
        tumoral=settings.tumoral,
        cells=settings.cells,
        size=settings.size,
        appearance=PBC_LIKE if settings.appearance == "pbc" else random_appearance(settings.seed),
    )
    table: list[_Row] = []
    truth: list[_Row] = []
    tumoral = 0
    progress("drawing patients", 0, settings.patients)
    for number, patient in enumerate(drawn, start=1):
        truth += _write_cells(patient, out)
        tumoral += patient.label
        label = patient.label if settings.labels else None
        table.append((patient.patient_id, label, patient.age, patient.lymphocytes, patient.gender))
        progress("drawing patients", number, settings.patients)
    _write_table(out / TRUTH_FILE, truth, _TRUTH_COLUMNS)
    _write_table(out / PATIENTS_FILE, table, _PATIENT_COLUMNS)
    result = DrawPatientsResult(out, out / TRUTH_FILE, settings.patients - tumoral, tumoral, len(truth))
    finish(out, run, reactive=result.reactive, tumoral=result.tumoral, cells=result.cells)
    return result


def _write_cells(patient: DrawnPatient, out: Path) -> list[_Row]:
    """Write the pictures of a patient; returns what is true of each, in the order of ``_TRUTH_COLUMNS``."""
    from PIL import Image

    rows: list[_Row] = []
    for number, (cell, kind) in enumerate(zip(patient.cells, patient.kinds, strict=True), start=1):
        name = f"{patient.patient_id}/cell_{number:03d}.png"
        with atomic_path(out / name) as temporary:
            Image.fromarray(cell.image).save(temporary, format="PNG", compress_level=1)
        areas = (round(float(mask.sum()) * cell.um_per_px**2, 3) for mask in (cell.cell_mask, cell.nucleus_mask))
        rows.append((name, name, patient.patient_id, patient.label, kind, *areas))
    return rows


def _write_table(path: Path, rows: list[_Row], columns: tuple[str, ...]) -> None:
    import polars as pl

    with atomic_path(path) as temporary:
        pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None).write_csv(temporary)
