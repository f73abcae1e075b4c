"""Imports the result of ``leukopy analyze`` into a case: images and predictions."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leukopy.core.progress import Progress, counted, silent
from leukopy.inference.rows import FAILURE_SCHEMA, Predictions
from leukopy.review.analysis_result import Run, read_run, read_tables
from leukopy.review.importing_fields import as_analysed, import_fields
from leukopy.review.records import CaseDraft, Refused, UploadResult, User
from leukopy.review.store import Store
from leukopy.review.uploads import keep, shown


def import_analysis(store: Store, user: User, case_id: str, folder: Path) -> UploadResult:
    """Add the cells of a finished analysis to a case, with their classes; no model runs.

    A moved or changed image is refused, with its name and reason.

    Args:
        store: where to.
        user: who acts.
        case_id: whose cells they become.
        folder: what ``leukopy analyze --out`` wrote.

    Raises:
        InputError: ``folder`` holds no finished analysis.
        NotFound, NotAllowed: of the store; or the case was begun with another model.
    """
    return _add(store, user, case_id, (read_run(folder), *read_tables(folder)))


def import_as_case(
    store: Store, user: User, draft: CaseDraft, folder: Path, progress: Progress = silent
) -> UploadResult:
    """Open a case for an analysis; none is opened where there is nothing to import.

    Args:
        store: where to.
        user: who acts.
        draft: facts of the case.
        folder: what ``leukopy analyze --out`` wrote.
        progress: called with the number of images or fields that were copied.

    Raises:
        InputError: as `import_analysis`.
    """
    found = (read_run(folder), *read_tables(folder))
    return _add(store, user, store.cases.open(user, draft).id, found, progress)


def _add(
    store: Store,
    user: User,
    case_id: str,
    found: tuple[Run, pl.DataFrame, tuple[Refused, ...]],
    progress: Progress = silent,
) -> UploadResult:
    run, rows, failures = found
    if "field" in rows.columns:
        result = import_fields(store, user, case_id, (run, rows), progress)
        _finish(store, user, case_id, run, failures)
        return result.model_copy(update={"refused": (*result.refused, *failures)})
    images = as_analysed(rows.select("cell_id", "path", "digest").iter_rows(), store.settings.limits)
    result = keep(store, user, case_id, counted(images, progress, "copying", len(rows)))
    numbers = {(image.name, image.digest): str(image.cell) for image in store.predictions.pending(case_id)}
    known = [numbers.get((shown(name), digest)) for name, digest in rows.select("cell_id", "digest").iter_rows()]
    cells = rows.with_columns(pl.Series("cell_id", known, pl.String)).filter(pl.col("cell_id").is_not_null())
    store.predictions.write(case_id, Predictions(cells, pl.DataFrame(schema=FAILURE_SCHEMA)), run.model)
    _finish(store, user, case_id, run, failures)
    return result.model_copy(update={"refused": (*result.refused, *failures)})


def _finish(store: Store, user: User, case_id: str, run: Run, failures: tuple[Refused, ...]) -> None:
    """Store what the run tells of the whole slide."""
    if run.slide is not None:
        store.predictions.set_slide_distance(case_id, run.slide)
    store.predictions.set_survey(case_id, run.survey)
    store.cells.add_failures(user, case_id, failures)
