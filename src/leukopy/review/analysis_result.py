"""Reads the result of ``leukopy analyze`` for the station."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from leukopy.core.errors import InputError
from leukopy.core.files import read_json
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA
from leukopy.review.records import Refused
from leukopy.review.store import ModelFacts
from leukopy.review.uploads import shown
from leukopy.slides.laboratory_check import SlideDistance
from leukopy.slides.record import SlideRecord
from leukopy.taxonomy import FINE, CellClass, Place, declare, outside_classes
from leukopy.workflows.slide_run import CELLS_FILE, FAILURES_FILE


class Run(NamedTuple):
    """Facts of an analysis about its whole slide."""

    model: ModelFacts
    slide: SlideDistance | None
    survey: Mapping[str, Any]
    folder: Path


def read_run(folder: Path) -> Run:
    """Facts of a finished analysis; its own classes are declared.

    Raises:
        InputError: ``folder`` holds none.
    """
    run: dict[str, Any] = read_json(folder / RUN_FILE)
    if run.get("command") != "analyze" or run.get("status") != FINISHED:
        raise InputError(f"{folder}: holds no finished analysis. Give the --out folder of `leukopy analyze`.")
    try:
        model, slide = run["model"], SlideRecord.load(run["slide"])
        declare(CellClass(**cell | {"place": Place(cell["place"])}) for cell in model.get("own_classes", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: was written by another leukopy. Analyse the slide again.") from error
    facts = ModelFacts(str(model["name"]), str(model["sha256"]))
    return Run(facts, slide.distance, slide.survey, folder)


def read_tables(folder: Path) -> tuple[pl.DataFrame, tuple[Refused, ...]]:
    """Rows of the cells of an analysis, and its unreadable images.

    Raises:
        InputError: they cannot be read, or another leukopy wrote them.
    """
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
