"""Copies: the same image file twice in a cohort, byte for byte."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leukopy.core.files import file_digest
from leukopy.core.progress import Progress, silent
from leukopy.patients.data.cohort import PROBLEM_SCHEMA
from leukopy.patients.data.values import Problem


def find_copies(cells: pl.DataFrame) -> pl.DataFrame:
    """A problem, as a row of ``PROBLEM_SCHEMA``, for every copy.

    An image that two patients share stays with both, since nothing tells whose it is. Images go by their ids, as a path
    may name a person.

    Args:
        cells: patient_id, cell_id and digest of images; without a digest an image is no copy.
    """
    first: dict[str, tuple[str, str]] = {}
    """Digest -> patient_id and cell_id."""
    problems: list[Problem] = []
    known = cells.select("patient_id", "cell_id", "digest").drop_nulls("digest")
    for patient_id, cell_id, digest in known.iter_rows():
        owner, earlier = first.setdefault(digest, (patient_id, cell_id))
        if owner != patient_id:
            message = f"{cell_id}: is the same file as {earlier} of patient {owner}. Find out whose it is."
            problems.append(Problem(patient_id, "same_image", message))
        elif earlier != cell_id:
            message = f"{cell_id}: is the same file as {earlier}, and is not counted again."
            problems.append(Problem(patient_id, "same_image", message))
    return pl.DataFrame(problems, schema=PROBLEM_SCHEMA, orient="row")


def with_digests(cells: pl.DataFrame, progress: Progress = silent) -> pl.DataFrame:
    """Images of a cohort with their column ``digest``; null of files that are empty or cannot be read.

    Args:
        cells: rows of ``PATIENT_CELL_SCHEMA``.
        progress: told of the files compared.
    """
    digests = []
    for path in cells["path"]:
        digests.append(_digest(Path(path)))
        progress("comparing files", len(digests), cells.height)
    return cells.with_columns(digest=pl.Series(digests, dtype=pl.String))


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path) if path.stat().st_size else None
    except OSError:
        return None
