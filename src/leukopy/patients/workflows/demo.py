"""Patients judged from end to end, on drawn ones: what a newcomer runs first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients
from leukopy.patients.workflows.predict import PredictPatientsResult, PredictPatientsSettings, predict_patients


class DemoPatientsSettings(Settings):
    """Which patients are drawn, and which model judges them."""

    patients: int = Field(default=8, ge=1, le=1000)
    """Patients to draw."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same patients."""
    model: str = "lymphocytosis"
    """A bundled patient model, or the folder of a patient bundle."""


@dataclass(frozen=True)
class DemoPatientsResult:
    """What the model says, and how the patients were drawn."""

    judged: PredictPatientsResult
    drawn: dict[str, str]
    """Patient -> ``reactive`` or ``tumoral``."""
    agreeing: int
    """Patients whose decision is as they were drawn. It measures nothing clinical: the model learnt from real cells,
    and the drawn ones make no claim of realism."""


def demo_patients(
    settings: DemoPatientsSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> DemoPatientsResult:
    """Draw patients without labels into ``out/patients``, and judge them into ``out/results``.

    Args:
        settings: whom to draw, and the model.
        out: a folder of its own.
        overwrite: replace the demo that it holds.
        progress: told of the patients drawn and judged, and of the pages written.

    Raises:
        BundleError: the model, or the cell model that it reads, is absent, broken or foreign.
        OutputError: ``out`` holds something else or another demo, or cannot be written.
    """
    from leukopy.patients.store import open_patient_bundle

    open_patient_bundle(settings.model)  # before a file is written, or --overwrite deletes one
    run = record("patients demo", settings)
    begin(out, run, overwrite=overwrite)
    cohort = DrawPatientsSettings(patients=settings.patients, labels=False, seed=settings.seed)
    truth = draw_patients(cohort, out / "patients", progress=progress).truth
    judged = predict_patients(
        PredictPatientsSettings(path=out / "patients", model=settings.model), out / "results", progress=progress
    )
    drawn = _drawn(truth)
    decisions = judged.patients.select("patient_id", "decision").iter_rows()
    agreeing = sum(drawn[patient_id] == decision for patient_id, decision in decisions)
    finish(out, run, patients=len(drawn), agreeing=agreeing)
    return DemoPatientsResult(judged, drawn, agreeing)


def _drawn(truth: Path) -> dict[str, str]:
    """How each patient was drawn, from the table of the cells."""
    import polars as pl

    from leukopy.patients.inference.rows import DECISIONS

    labels = pl.read_csv(truth, columns=["patient_id", "label"]).unique(maintain_order=True)
    return {patient_id: DECISIONS[label] for patient_id, label in labels.iter_rows()}
