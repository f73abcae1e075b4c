"""Imports the result of ``leukopy analyze`` into a case: images and predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from leukopy.core.errors import InputError
from leukopy.core.files import read_json
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.review.records import CaseDraft, Refused, UploadResult, User
from leukopy.review.settings import Limits
from leukopy.review.store import ModelFacts, Store
from leukopy.review.uploads import Taken, Upload, keep, shown, unpack
from leukopy.slides.laboratory_check import SlideDistance
from leukopy.slides.record import SlideRecord
from leukopy.taxonomy import FINE, CellClass, Place, declare, outside_classes
from leukopy.workflows.slide_run import CELLS_FILE, FAILURES_FILE


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
    return _add(store, user, case_id, _run(folder), *_tables(folder))


def import_as_case(store: Store, user: User, draft: CaseDraft, folder: Path) -> UploadResult:
    """Open a case for an analysis; none is opened where there is nothing to import.

    Raises:
        InputError: as `import_analysis`.
    """
    run, tables = _run(folder), _tables(folder)
    return _add(store, user, store.cases.open(user, draft).id, run, *tables)


def _add(
    store: Store, user: User, case_id: str, run: _Run, rows: pl.DataFrame, failures: tuple[Refused, ...]
) -> UploadResult:
    limits = store.settings.limits
    result = keep(store, user, case_id, _images(rows, limits))
    numbers = {(image.name, image.digest): str(image.cell) for image in store.predictions.pending(case_id)}
    known = [numbers.get((shown(name), digest)) for name, digest in rows.select("cell_id", "digest").iter_rows()]
    cells = rows.with_columns(pl.Series("cell_id", known, pl.String)).filter(pl.col("cell_id").is_not_null())
    store.predictions.write(case_id, Predictions(cells, pl.DataFrame(schema=FAILURE_SCHEMA)), run.model)
    if run.slide is not None:
        store.predictions.set_slide_distance(case_id, run.slide)
    store.predictions.set_survey(case_id, run.survey)
    store.cells.add_failures(user, case_id, failures)
    return result.model_copy(update={"refused": (*result.refused, *failures)})


class _Run(NamedTuple):
    """Facts of an analysis about its whole slide."""

    model: ModelFacts
    slide: SlideDistance | None
    survey: Mapping[str, Any]


def _run(folder: Path) -> _Run:
    run: dict[str, Any] = read_json(folder / RUN_FILE)
    if run.get("command") != "analyze" or run.get("status") != FINISHED:
        raise InputError(f"{folder}: holds no finished analysis. Give the --out folder of `leukopy analyze`.")
    try:
        model, slide = run["model"], SlideRecord.load(run["slide"])
        declare(CellClass(**cell | {"place": Place(cell["place"])}) for cell in model.get("own_classes", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: was written by another leukopy. Analyse the slide again.") from error
    facts = ModelFacts(str(model["name"]), str(model["sha256"]))
    return _Run(facts, slide.distance, slide.survey)


def _tables(folder: Path) -> tuple[pl.DataFrame, tuple[Refused, ...]]:
    try:
        rows = pl.read_parquet(folder / CELLS_FILE)
        failed = pl.read_csv(folder / FAILURES_FILE, schema=FAILURE_SCHEMA)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{folder}: its tables cannot be read. Analyse the slide again.") from error
    codes = {cell.code for cell in (*FINE, *outside_classes())}
    if not set(CELL_SCHEMA) <= set(rows.columns) or not set(rows["fine"].drop_nulls()) <= codes:
        raise InputError(f"{folder / CELLS_FILE}: was written by another leukopy. Analyse the slide again.")
    return rows, tuple(
        Refused(name=shown(name), reason=reason, message=message)
        for name, _, reason, message in failed.iter_rows()
    )  # fmt: skip


def _images(rows: pl.DataFrame, limits: Limits) -> Iterator[Taken]:
    for name, path, digest in rows.select("cell_id", "path", "digest").iter_rows():
        try:
            with Path(path).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                    message = f"{shown(name)}: is no longer the file that was analysed. Analyse the slide again."
                    yield Refused(name=shown(name), reason="changed", message=message)
                    continue
                stream.seek(0)
                yield from unpack([Upload(name, stream)], limits)
        except OSError:
            message = f"{shown(name)}: is no longer where it was. Put it back, or analyse the slide again."
            yield Refused(name=shown(name), reason="not_found", message=message)
