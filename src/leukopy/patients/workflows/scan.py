"""Scan a cohort: how many patients and cells it holds, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.errors import ImageError
from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.patients.workflows.cohort import CohortSettings

if TYPE_CHECKING:
    import polars as pl

    from leukopy.patients.data import Cohort

LABELS = {0: "reactive", 1: "tumoral", None: "unknown"}


class ScanPatientsSettings(CohortSettings):
    """What to scan, and how thoroughly."""

    check: bool = False
    """Decode every image."""


@dataclass(frozen=True, eq=False)
class ScanPatientsResult:
    """What a cohort holds."""

    cohort: Cohort
    groups: pl.DataFrame
    """A row per label that is there: label (a word), patients, cells; fewest, median and most cells of a patient;
    median age in years and median lymphocyte count in 10^9/L, of those known."""
    problems: pl.DataFrame
    """``PROBLEM_SCHEMA``: those of the cohort, then of each image that was checked."""


def scan_patients(
    settings: ScanPatientsSettings, out: Path | None = None, *, progress: Progress = silent
) -> ScanPatientsResult:
    """Open a cohort, count it, and tell its problems.

    Args:
        settings: what to scan.
        out: a CSV file for the problems.
        progress: told of the images that were decoded.

    Raises:
        InputError, ManifestError, SettingsError: as `open_cohort`.
        OutputError: ``out`` cannot be written.
    """
    import polars as pl

    from leukopy.patients.data import find_copies, open_cohort, with_digests

    opened = open_cohort(settings.path, cells=settings.cells, reference_date=settings.reference_date)
    cells = with_digests(opened.cells, progress)
    problems = pl.concat([opened.problems, find_copies(cells)])
    once = pl.coalesce("digest", "cell_id")
    cells = cells.unique(["patient_id", once], keep="first", maintain_order=True).drop("digest")
    cohort = replace(opened, cells=cells, problems=problems)
    if settings.check:
        problems = pl.concat([problems, _check_images(cohort, progress)])
    if out:
        with atomic_path(out) as temporary:
            problems.write_csv(temporary)
    return ScanPatientsResult(cohort, _groups(cohort), problems)


def _groups(cohort: Cohort) -> pl.DataFrame:
    import polars as pl

    sizes = cohort.cells.group_by("patient_id").agg(images=pl.len())
    return (
        cohort.patients.join(sizes, on="patient_id")
        .group_by("label")
        .agg(
            patients=pl.len(),
            cells=pl.col("images").sum(),
            fewest=pl.col("images").min(),
            median=pl.col("images").median(),
            most=pl.col("images").max(),
            age=pl.col("age").median(),
            lymphocytes=pl.col("lymphocytes").median(),
        )
        .sort("label", nulls_last=True)
        .with_columns(label=pl.col("label").replace_strict(LABELS, return_dtype=pl.String))
    )


def _check_images(cohort: Cohort, progress: Progress) -> pl.DataFrame:
    """A problem for each image that cannot be decoded. An image goes by its id, as its path may name a person."""
    import polars as pl

    from leukopy.datasets import probe_file
    from leukopy.imaging.decode import REASONS
    from leukopy.patients.data import PROBLEM_SCHEMA

    rows = []
    for number, (patient_id, cell_id, path) in enumerate(cohort.cells.iter_rows(), start=1):
        try:
            probe_file(Path(path), pixels=True)
        except ImageError as error:
            rows.append((patient_id, error.reason, f"{cell_id}: {REASONS[error.reason]}"))
        progress("looking at images", number, len(cohort.cells))
    return pl.DataFrame(rows, schema=PROBLEM_SCHEMA, orient="row")
