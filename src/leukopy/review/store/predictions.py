"""The model's predictions for the images of a case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.bundle import SlideCheck
from leukopy.inference.rows import DUPLICATE, UNIDENTIFIED, Predictions
from leukopy.review.records import User
from leukopy.review.records.not_counted import UNIDENTIFIED as UNIDENTIFIED_CODE
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.classes import keep_own
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed
from leukopy.review.store.results import ModelFacts, PendingImage
from leukopy.slides.laboratory_check import AppearanceSum, SlideDistance, nearest_laboratory
from leukopy.taxonomy import ATTRIBUTES, COARSE, FINE

_SUMS = {cell.code for cell in COARSE} - {cell.code for cell in FINE}


@dataclass(frozen=True)
class PredictionStore:
    """Reads pending images and stores the model's rows. For workers: only `model` checks permissions."""

    database: Database

    def pending(self, case_id: str) -> list[PendingImage]:
        """Images without a row of the model, in order of arrival."""
        with self.database.read() as db:
            columns = sa.select(t.Cell.number, t.Cell.name, t.Cell.digest, t.Cell.field)
            query = columns.where(t.Cell.case_id == case_id, sa.not_(t.Cell.analysed), t.Cell.reason.is_(None))
            rows = db.execute(query.order_by(t.Cell.number))
            return [PendingImage(number, name, str(digest), field) for number, name, digest, field in rows]

    def digests(self, case_id: str) -> list[str]:
        """Digests (sha256) of all images of single cells of a case, in order of arrival; refused files have none."""
        with self.database.read() as db:
            cells = sa.select(t.Cell.digest).where(t.Cell.case_id == case_id, t.Cell.field.is_(None))
            return list(db.scalars(cells.where(t.Cell.digest.is_not(None)).order_by(t.Cell.number)))

    def located(self, case_id: str) -> list[PendingImage]:
        """The classified cells of the fields of a case."""
        with self.database.read() as db:
            columns = sa.select(t.Cell.number, t.Cell.name, t.Cell.digest, t.Cell.field)
            query = columns.where(t.Cell.case_id == case_id, t.Cell.field.is_not(None), t.Cell.analysed)
            rows = db.execute(query.order_by(t.Cell.number))
            return [PendingImage(number, name, str(digest), field) for number, name, digest, field in rows]

    def write(self, case_id: str, predictions: Predictions, model: ModelFacts, check: SlideCheck | None = None) -> int:
        """Store the model's rows for pending images; images that have a row already do not change.

        Args:
            case_id: whose images.
            predictions: a classifier's rows; ``cell_id`` is the number of the cell, as text.
            model: the classifier's.
            check: the model's slide check, if it has one.

        Returns:
            Number of images that were pending and are so no longer.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; another model classified the case; or a class of the model is
                another class of the station.
        """
        with self.database.write() as db:
            case = open_case(db, None, case_id)
            use_model(db, case, predictions, model)
            rows = {int(row["cell_id"]): row for row in predictions.cells.iter_rows(named=True)}
            failed = {int(row["cell_id"]): row for row in predictions.failures.iter_rows(named=True)}
            query = sa.select(t.Cell).where(t.Cell.case_id == case_id, t.Cell.number.in_([*rows, *failed]))
            pending = db.scalars(query.where(sa.not_(t.Cell.analysed), t.Cell.reason.is_(None))).all()
            first = _first_numbers(db, case_id)
            for cell in pending:
                if cell.number in rows:
                    for name, value in prediction_columns(rows[cell.number]).items():
                        setattr(cell, name, value)
                    cell.flags = _flags(cell.flags, duplicate=cell.number > first[cell.digest])
                else:
                    cell.reason, cell.message = failed[cell.number]["reason"], failed[cell.number]["message"]
            if pending:
                _count(case, pending)
                add_appearance(case, predictions, {cell.number for cell in pending}, check)
                touch(case)
                numbers = [cell.number for cell in pending]
                audit.append(db, None, "cells.classified", case.id, cells=len(pending), first=min(numbers),
                             last=max(numbers), model=model.sha256)  # fmt: skip
            return len(pending)

    def set_slide_distance(self, case_id: str, distance: SlideDistance) -> None:
        """Store a slide's distance from the nearest laboratory of the training, measured outside the station.

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
        """
        with self.database.write() as db:
            case = open_case(db, None, case_id)
            if case.cells and _update_slide_check(case, distance):
                touch(case)
                audit.append(db, None, "slide.checked", case.id, cells=distance.cells)

    def set_survey(self, case_id: str, survey: Mapping[str, Any]) -> bool:
        """Store from how many cells the slide's class means were re-estimated, and how foreign they are.

        Args:
            case_id: the case.
            survey: `SlideSurvey.facts`.

        Returns:
            Whether the case holds a slide check, without which they are of no use.

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
        """
        with self.database.write() as db:
            case = open_case(db, None, case_id)
            known = case.slide_check
            if known and (survey.get("class_cells") is not None or survey.get("cells_used") is not None):
                found = {name: survey.get(name) for name in ("cells_used", "foreign_probability")}
                case.slide_check = known | {name: value for name, value in found.items() if value is not None}
                if case.slide_check != known:
                    touch(case)
                    audit.append(db, None, "slide.checked", case.id, cells=known["cells"])
            return known is not None

    def digest_of_model(self, case_id: str) -> str | None:
        """sha256 of the model that classified a case, or began to; None before the analysis."""
        with self.database.read() as db:
            return get_case(db, None, case_id).model_sha256

    def model(self, user: User, case_id: str) -> ModelFacts | None:
        """The model that classified a case; None before the analysis."""
        with self.database.read() as db:
            case = get_case(db, user, case_id)
            return ModelFacts(case.model, case.model_sha256) if case.model and case.model_sha256 else None


def use_model(db: Session, case: t.Case, predictions: Predictions, model: ModelFacts) -> None:
    """Note the model of a case, and keep its own classes; raises NotAllowed: another model classified the case."""
    if case.model_sha256 not in (None, model.sha256):
        raise NotAllowed("the case was classified by another model; open another case for this model.")
    keep_own(db, set(predictions.cells["fine"].drop_nulls()))
    if len(predictions):
        case.model, case.model_sha256 = model


def _first_numbers(db: Session, case_id: str) -> dict[str | None, int]:
    """The first cell of a case with each digest; later cells of the digest are duplicates."""
    cells = sa.select(t.Cell.digest, sa.func.min(t.Cell.number))
    rows = db.execute(cells.where(t.Cell.case_id == case_id, t.Cell.reason.is_(None)).group_by(t.Cell.digest))
    return {row[0]: row[1] for row in rows}


def _flags(flags: str, *, duplicate: bool) -> str:
    """The flags of a cell, with ``DUPLICATE`` by the images of the case instead of those of the run."""
    others = [flag for flag in flags.split(";") if flag and flag != DUPLICATE]
    return ";".join([DUPLICATE, *others] if duplicate else others)


def _count(case: t.Case, written: Sequence[t.Cell]) -> None:
    """Update the numbers of a case whose images no longer wait."""
    analysed = sum(cell.analysed for cell in written)
    case.cells += analysed
    case.failures += len(written) - analysed
    case.pending -= len(written)


def add_appearance(case: t.Case, predictions: Predictions, new: set[int], check: SlideCheck | None) -> None:
    """Add the appearance of the new cells to the sum of their slide."""
    if predictions.appearance is None:
        return
    appearance = (
        AppearanceSum(np.array(case.appearance["total"]), case.appearance["cells"])
        if case.appearance
        else AppearanceSum()
    )
    cells = predictions.cells.select(pl.col("cell_id").cast(pl.Int64).is_in(new) & pl.col("fine").is_not_null())
    appearance.add(predictions.appearance.filter(cells.to_series()))
    case.appearance = {"total": appearance.total.tolist(), "cells": appearance.cells}
    _update_slide_check(case, nearest_laboratory(appearance, check))


def _update_slide_check(case: t.Case, distance: SlideDistance | None) -> bool:
    """Store a slide's distance, unless the stored one rests on more cells; returns whether anything changed."""
    known = case.slide_check
    if distance is None or (known and known["cells"] > distance.cells):
        return False
    case.slide_check = (known or {}) | asdict(distance) | {"unlike_training": distance.foreign}
    return case.slide_check != known


def prediction_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a cell from a classifier's row."""
    attributes = [
        (attribute.name, row[f"attr_{attribute.name}"], row[f"attr_{attribute.name}_p"])
        for attribute in ATTRIBUTES
        if row.get(f"attr_{attribute.name}") is not None
    ]
    single = row["fine"] is not None  # else the image holds no single cell, and the row has no class
    code = UNIDENTIFIED_CODE if single and UNIDENTIFIED in row["flags"].split(";") else row["fine"]
    return {
        "analysed": True,
        "code": code,
        "model_code": code,
        "confidence": _rounded(row["fine_confidence"]) if single else None,
        "flags": row["flags"],
        "why": row.get("content") or row.get("why") or "",
        "probabilities": {code: _rounded(row[f"p_{code}"]) for code in _answers(row) if single},
        "attributes": {name: [value, _rounded(probability)] for name, value, probability in attributes},
    }


def _answers(row: Mapping[str, Any]) -> list[str]:
    """Codes of the classes that the model answers."""
    return [code for name in row if name.startswith("p_") and (code := name.removeprefix("p_")) not in _SUMS]


def _rounded(probability: float) -> float:
    """Six digits, which both databases return unchanged; NaN becomes 0."""
    return round(probability, 6) if math.isfinite(probability) else 0.0
