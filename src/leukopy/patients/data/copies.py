"""Copies: the same image file twice in a cohort, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from leukopy.core.files import file_digest
from leukopy.core.progress import Progress, silent
from leukopy.patients.data.cohort import PROBLEM_SCHEMA, Cohort
from leukopy.patients.data.values import Problem


def without_copies(cohort: Cohort, progress: Progress = silent) -> Cohort:
    """The cohort with each image of a patient once; its problems name every copy.

    An image that two patients share stays with both, since nothing tells whose it is. Images go by their ids, as a path
    may name a person. Files that are empty or cannot be read are no copies: reading them says why.

    Args:
        cohort: as `open_cohort` gives it.
        progress: told of the files compared.
    """
    first: dict[str, tuple[str, str]] = {}
    """Digest -> patient_id and cell_id."""
    problems: list[Problem] = []
    copies: list[str] = []
    for number, (patient_id, cell_id, path) in enumerate(cohort.cells.iter_rows(), start=1):
        owner, earlier = first.setdefault(_digest(Path(path)) or cell_id, (patient_id, cell_id))
        if owner != patient_id:
            message = f"{cell_id}: is the same file as {earlier} of patient {owner}. Find out whose it is."
            problems.append(Problem(patient_id, "same_image", message))
        elif earlier != cell_id:
            message = f"{cell_id}: is the same file as {earlier}, and is not counted again."
            problems.append(Problem(patient_id, "same_image", message))
            copies.append(cell_id)
        progress("comparing files", number, cohort.cells.height)
    return replace(
        cohort,
        cells=cohort.cells.filter(~pl.col("cell_id").is_in(copies)),
        problems=pl.concat([cohort.problems, pl.DataFrame(problems, schema=PROBLEM_SCHEMA, orient="row")]),
    )


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path) if path.stat().st_size else None
    except OSError:
        return None
