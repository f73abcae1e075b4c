"""The images of a case, and what the model said of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from leukopy.bundle import SlideCheck
from leukopy.inference.rows import DUPLICATE, UNIDENTIFIED, Predictions
from leukopy.review.records import CellDetail, CellRow, Refused, User
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.classes import classes
from leukopy.review.store.errors import NotAllowed, NotFound
from leukopy.review.store.results import CellImage, ModelFacts, NewImage, PendingImage
from leukopy.slides.laboratory_check import AppearanceSum, SlideDistance, nearest_laboratory
from leukopy.taxonomy import ATTRIBUTES, FINE

_COLUMNS = (
    t.Cell.number, t.Cell.name, t.Cell.code, t.Cell.model_code, t.Cell.confidence, t.Cell.flags,
    t.Cell.comment, t.Cell.version, t.Cell.changed_by,
)  # fmt: skip
_NAMES = ("id", *(column.key for column in _COLUMNS[1:]))
"""What a record calls them."""
_HIGHEST = 2**31 - 1


def add_images(
    db: Session, user: User, case_id: str, items: Sequence[NewImage], digests: Sequence[str], most: int
) -> int:
    """Add images that lie on the disk already; one that the case has under the same name is not added twice.

    Args:
        db: the transaction.
        user: who acts.
        case_id: where to.
        items: the images.
        digests: where they lie, in the same order.
        most: images that a case may have.

    Returns:
        How many are new.

    Raises:
        NotFound, NotAllowed: as `open_case`; or the case would have too many images.
    """
    case = open_case(db, user, case_id)
    # Compared as the database keeps them: a name may hold what it cannot.
    names = [t.storable(item.name) for item in items]
    there = {tuple(row) for row in db.execute(sa.select(t.Cell.name, t.Cell.digest).where(t.Cell.case_id == case.id))}
    new: dict[tuple[str, str | None], NewImage] = {}
    for name, digest, item in zip(names, digests, items, strict=True):
        if (name, digest) not in there:
            new.setdefault((name, digest), item)
    if case.cells + case.pending + case.failures + len(new) > most:
        raise NotAllowed(f"a case holds at most {most} images; open another case.")
    if new:
        db.add_all(
            t.Cell(case_id=case.id, number=number, name=name, digest=digest, media_type=item.media_type,
                   width=item.width, height=item.height)
            for number, ((name, digest), item) in enumerate(new.items(), start=case.last_cell + 1)
        )  # fmt: skip
        case.last_cell += len(new)
        case.pending += len(new)
        touch(case)
        audit.append(db, user, "images.added", case.id, images=len(new), last_cell=case.last_cell)
    return len(new)


def add_failures(db: Session, user: User, case_id: str, items: Sequence[Refused]) -> None:
    """Note files that were not taken; each stays in the list of failures.

    Raises:
        NotFound, NotAllowed: as `open_case`.
    """
    case = open_case(db, user, case_id)
    query = sa.select(t.Cell.name, t.Cell.reason).where(t.Cell.case_id == case.id, t.Cell.reason.is_not(None))
    there = {tuple(row) for row in db.execute(query)}
    new = {
        (t.storable(item.name), item.reason): item
        for item in items
        if (t.storable(item.name), item.reason) not in there
    }
    if new:
        db.add_all(
            t.Cell(case_id=case.id, number=number, name=item.name, reason=item.reason, message=item.message)
            for number, item in enumerate(new.values(), start=case.last_cell + 1)
        )
        case.last_cell += len(new)
        case.failures += len(new)
        touch(case)
        audit.append(db, user, "images.refused", case.id, images=len(new))


def pending_images(db: Session, case_id: str) -> list[PendingImage]:
    """The images that the model has not seen, in the order in which they came."""
    columns = sa.select(t.Cell.number, t.Cell.name, t.Cell.digest)
    query = columns.where(t.Cell.case_id == case_id, t.Cell.code.is_(None), t.Cell.reason.is_(None))
    return [PendingImage(number, name, str(digest)) for number, name, digest in db.execute(query.order_by("number"))]


def digests(db: Session, case_id: str) -> list[str]:
    """Of all images of a case, in the order in which they came; what was no image has none."""
    kept = sa.select(t.Cell.digest).where(t.Cell.case_id == case_id, t.Cell.digest.is_not(None))
    return list(db.scalars(kept.order_by(t.Cell.number)))


def write_predictions(
    db: Session, case_id: str, predictions: Predictions, model: ModelFacts, check: SlideCheck | None = None
) -> int:
    """Keep what the model said of some images; of those that it has spoken of before nothing changes.

    Args:
        db: the transaction.
        case_id: whose images.
        predictions: rows of a Classifier whose ``cell_id`` is the number of the cell, as text.
        model: which one.
        check: its check of slides, where it has one.

    Returns:
        Images that were waiting and no longer are.

    Raises:
        NotFound, NotAllowed: as `open_case`; or the case was begun with another model.
    """
    case = open_case(db, None, case_id)
    if case.model_sha256 not in (None, model.sha256):
        raise NotAllowed("the case was begun with another model: its cells would not be comparable; open another case.")
    said = {int(row["cell_id"]): row for row in predictions.cells.iter_rows(named=True)}
    failed = {int(row["cell_id"]): row for row in predictions.failures.iter_rows(named=True)}
    query = sa.select(t.Cell).where(t.Cell.case_id == case_id, t.Cell.number.in_([*said, *failed]))
    waiting = db.scalars(query.where(t.Cell.code.is_(None), t.Cell.reason.is_(None))).all()
    first = _first_numbers(db, case_id)
    for cell in waiting:
        if cell.number in said:
            for name, value in _prediction(said[cell.number]).items():
                setattr(cell, name, value)
            cell.flags = _flags(cell.flags, copy=cell.number > first[cell.digest])
        else:
            cell.reason, cell.message = failed[cell.number]["reason"], failed[cell.number]["message"]
    if waiting:
        classified = sum(cell.code is not None for cell in waiting)
        case.model, case.model_sha256 = model
        case.cells += classified
        case.failures += len(waiting) - classified
        case.pending -= len(waiting)
        _note_look(case, predictions, {cell.number for cell in waiting}, check)
        touch(case)
        numbers = [cell.number for cell in waiting]
        audit.append(db, None, "cells.classified", case.id, cells=len(waiting), first=min(numbers), last=max(numbers),
                     model=model.sha256)  # fmt: skip
    return len(waiting)


def _first_numbers(db: Session, case_id: str) -> dict[str | None, int]:
    """The first cell of a case with each digest: the one that counts."""
    first = sa.select(t.Cell.digest, sa.func.min(t.Cell.number)).where(t.Cell.case_id == case_id)
    rows = db.execute(first.where(t.Cell.reason.is_(None)).group_by(t.Cell.digest))
    return {row[0]: row[1] for row in rows}


def _flags(flags: str, *, copy: bool) -> str:
    """The flags of a cell, ``DUPLICATE`` among them where the case, not the run, has its file twice."""
    own = [flag for flag in flags.split(";") if flag and flag != DUPLICATE]
    return ";".join([DUPLICATE, *own] if copy else own)


def _note_look(case: t.Case, predictions: Predictions, new: set[int], check: SlideCheck | None) -> None:
    """Add how the new cells look to what is known of their slide."""
    if predictions.appearance is None:
        return
    appearance = (
        AppearanceSum(np.array(case.appearance["total"]), case.appearance["cells"])
        if case.appearance
        else AppearanceSum()
    )
    appearance.add(predictions.appearance.filter(predictions.cells["cell_id"].cast(pl.Int64).is_in(new)))
    case.appearance = {"total": appearance.total.tolist(), "cells": appearance.cells}
    _keep_check(case, nearest_laboratory(appearance, check))


def note_slide(db: Session, case_id: str, found: SlideDistance) -> None:
    """Keep what was found elsewhere of a case's slide.

    Raises:
        NotFound, NotAllowed: as `open_case`.
    """
    case = open_case(db, None, case_id)
    if case.cells and _keep_check(case, found):
        touch(case)


def note_classes(db: Session, case_id: str, looked_at: int) -> None:
    """Keep from how many of its cells the classes of a case's slide were found again, once its look is known.

    Raises:
        NotFound, NotAllowed: as `open_case`.
    """
    case = open_case(db, None, case_id)
    if case.slide_check and case.slide_check.get("cells_used") != looked_at:
        case.slide_check = case.slide_check | {"cells_used": looked_at}
        touch(case)


def _keep_check(case: t.Case, found: SlideDistance | None) -> bool:
    """Keep a finding, unless more is known already; whether anything changed."""
    known = case.slide_check
    if found is None or (known and known["cells"] > found.cells):
        return False
    case.slide_check = (known or {}) | asdict(found) | {"strange": found.foreign}
    return case.slide_check != known


def _prediction(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a cell from a row of a Classifier."""
    judged = [
        (attribute.name, row[f"attr_{attribute.name}"], row[f"attr_{attribute.name}_p"])
        for attribute in ATTRIBUTES
        if row.get(f"attr_{attribute.name}") is not None
    ]
    code = "UNIDENTIFIED" if UNIDENTIFIED in row["flags"].split(";") else row["fine"] or "UNIDENTIFIED"
    return {
        "code": code,
        "model_code": code,
        "confidence": _rounded(row["fine_confidence"]),
        "flags": row["flags"],
        "why": row.get("content") or row.get("why") or "",
        "probabilities": {cell.code: _rounded(row[f"p_{cell.code}"]) for cell in FINE},
        "attributes": {name: [value, _rounded(probability)] for name, value, probability in judged},
    }


def _rounded(probability: float | None) -> float:
    """Six digits: more says nothing, and both databases give it back as it was; 0 where a row has no class."""
    return round(probability, 6) if probability is not None and math.isfinite(probability) else 0.0


def cells(db: Session, user: User, case_id: str) -> tuple[CellRow, ...]:
    """The classified cells of a case: in display order of the classes, least certain first."""
    get_case(db, user, case_id)
    rank = {choice.code: place for place, choice in enumerate(classes(db))}
    rows = db.execute(sa.select(*_COLUMNS).where(t.Cell.case_id == case_id, t.Cell.code.is_not(None)))
    return tuple(sorted((_row(row) for row in rows), key=lambda row: (rank[row.code], row.confidence, row.id)))


def failures(db: Session, user: User, case_id: str) -> tuple[Refused, ...]:
    """The images of a case that were not taken or not classified, with the reason."""
    get_case(db, user, case_id)
    columns = sa.select(t.Cell.name, t.Cell.reason, t.Cell.message)
    query = columns.where(t.Cell.case_id == case_id, t.Cell.reason.is_not(None)).order_by(t.Cell.number)
    return tuple(
        Refused(name=name, reason=str(reason), message=message or "") for name, reason, message in db.execute(query)
    )


def find_cell(db: Session, case_id: str, number: int, *, whole: bool = False) -> t.Cell:
    """One classified cell.

    Raises:
        NotFound: there is none of this number.
    """
    options = [undefer(t.Cell.probabilities), undefer(t.Cell.attributes)] if whole else []
    cell = db.get(t.Cell, (case_id, number), options=options) if 0 < number <= _HIGHEST else None
    if cell is None or cell.code is None:
        raise NotFound(f"the case has no cell {number}." if abs(number) <= _HIGHEST else "the case has no such cell.")
    return cell


def cell_detail(db: Session, user: User, case_id: str, number: int, micrometres: float | None) -> CellDetail:
    """All that is known of a cell; ``micrometres`` per pixel, where known.

    Raises:
        NotFound: no such case or cell.
    """
    get_case(db, user, case_id)
    cell = find_cell(db, case_id, number, whole=True)
    return CellDetail(
        **row_of(cell).model_dump(),
        width=cell.width or 0,
        height=cell.height or 0,
        probabilities=cell.probabilities or {},
        why=cell.why,
        attributes={name: (value, chance) for name, (value, chance) in (cell.attributes or {}).items()},
        micrometres_per_pixel=micrometres,
    )


def cell_image(db: Session, user: User, case_id: str, number: int) -> CellImage:
    """Where the picture of a cell lies, and what it is.

    Raises:
        NotFound: no such case or cell.
    """
    get_case(db, user, case_id)
    cell = find_cell(db, case_id, number)
    return CellImage(str(cell.digest), str(cell.media_type))


def model_facts(db: Session, user: User, case_id: str) -> ModelFacts | None:
    """The model that classified a case; None before the analysis."""
    case = get_case(db, user, case_id)
    return ModelFacts(case.model, case.model_sha256) if case.model and case.model_sha256 else None


def row_of(cell: t.Cell) -> CellRow:
    """As the gallery shows it."""
    return _row([getattr(cell, column.key) for column in _COLUMNS])


def _row(values: Iterable[Any]) -> CellRow:
    """From the values of ``_COLUMNS``."""
    named = dict(zip(_NAMES, values, strict=True))
    named["flags"] = tuple(named["flags"].split(";")) if named["flags"] else ()
    return CellRow(**named)
