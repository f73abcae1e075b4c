"""Blasts and abnormal values of each case, kept in its row: the work list finds them without counting cells."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.case_differential import abnormal_values
from leukopy.review.records import CaseDraft, Status
from leukopy.review.records.not_counted import not_counted
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.database import SETTINGS, Database
from leukopy.review.store.errors import Damaged
from leukopy.taxonomy import BLASTS, CellClass, Place


def count_alarms(db: Session, case: t.Case) -> None:
    """Count the blasts and the abnormal values of a case as it stands in the transaction."""
    db.flush()
    cells = sa.select(t.Cell.code, t.Cell.flags, sa.func.count()).where(t.Cell.case_id == case.id, t.Cell.analysed)
    counts: Counter[str] = Counter()
    for code, flags, number in db.execute(cells.group_by(t.Cell.code, t.Cell.flags)):
        if code is not None and not_counted(code, flags.split(";")) is None:
            counts[code] += number
    case.blasts = sum(counts[code] for code in BLASTS)
    case.abnormal = abnormal_values(counts, _own_classes(db), _entries(case), db.info[SETTINGS])


def count_missing(database: Database) -> None:
    """Count the alarms of cases that an earlier version wrote; one that was changed past the station stays without."""
    with database.read() as db:
        query = sa.select(t.Case.id).where(t.Case.abnormal.is_(None), t.Case.cells > 0, t.Case.status != Status.ERASED)
        missing = db.scalars(query).all()
    for case_id in missing:
        with suppress(Damaged), database.write() as db:
            case = db.scalars(sa.select(t.Case).where(t.Case.id == case_id).with_for_update(of=t.Case)).one()
            seals.hold(db, seals.case_subject(case_id))
            count_alarms(db, case)
            audit.append(db, None, "case.counted", case_id)


def _own_classes(db: Session) -> dict[str, CellClass]:
    return {
        row.code: CellClass(row.code, row.name, row.french, None, Place(row.place), row.colour)
        for row in db.scalars(sa.select(t.OwnClass))
    }


def _entries(case: t.Case) -> CaseDraft:
    """The entries that ranges and absolute counts depend on; what an earlier version took is not checked again."""
    names = ("age", "sex", "leukocytes", "leukocytes_corrected")
    return CaseDraft.model_construct(**{name: getattr(case, name) for name in names})
