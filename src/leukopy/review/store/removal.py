"""Void and erasure: what is wrong is marked with its reason and kept; what must be forgotten is erased.

Erasure leaves a tombstone: the ids, the digests of the signed contents, the signatures and the log, none of which says
anything of the patient. The log tells of the erasure, so that it still verifies, and an erasure past the station does
not. Backups keep what they hold; so do reports that were handed out.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Case, CellRow, Erased, Role, Status, User, VoidCase, VoidCell
from leukopy.review.records.not_counted import VOID
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, require, touch
from leukopy.review.store.cases import check_version, record, records
from leukopy.review.store.cells import find_cell, rows_of
from leukopy.review.store.corrections import seal_gestures
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Conflict, NotAllowed, NotFound
from leukopy.review.store.held import held_files
from leukopy.review.store.images import EMBEDDINGS, ImageStore
from leukopy.review.store.outbox import withdraw
from leukopy.review.store.transaction import signed_contents_open

Why = Literal["request", "retention"]
"""Why a case is erased: a patient or another asks for it, or its time is over."""

_EMPTIED = ("specimen_date", "age", "sex", "lymphocytes", "leukocytes", "amendment_reason", "void_reason",
            "appearance", "slide_check", "smear", "model", "model_sha256", "due", "blasts", "abnormal")  # fmt: skip
_ENDED = (Status.SIGNED, Status.AMENDED, Status.VOID)


@dataclass(frozen=True)
class RemovalStore:
    """Voids cases and images; erases cases and patients."""

    database: Database
    images: ImageStore

    def void_case(self, user: User, case_id: str, void: VoidCase) -> Case:
        """Mark a case as void, with a reason: nothing of it changes any more, and its reports say so.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the user is no reviewer.
            Conflict: it is no longer at this version.
            NotAllowed: it is void already.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = get_case(db, user, case_id, lock=True)
            if case.status is Status.VOID:
                raise NotAllowed("the case is void already.")
            check_version(db, case, void.version)
            seal_gestures(db, case.id)
            withdraw(db, case)
            case.status, case.void_reason = Status.VOID, void.reason
            case.version += 1
            case.changed = t.now()
            audit.append(db, user, "case.voided", case.id, version=case.version)
            db.flush()
            return record(db, case)

    def void_cell(self, user: User, case_id: str, number: int, void: VoidCell) -> CellRow:
        """Mark an image as void, with a reason: no count holds it; without a reason it is counted again.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or there is no such cell.
            Conflict: the cell is no longer at the version named.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            cell = find_cell(db, case.id, number)
            if cell.version != void.version:
                raise Conflict(
                    "the cell was changed by another reader meanwhile: check it again.", rows_of(db, case, [cell])
                )
            if (cell.void_reason or "") != void.reason:
                others = [flag for flag in cell.flags.split(";") if flag and flag != VOID]
                cell.flags = ";".join([VOID, *others] if void.reason else others)
                cell.void_reason, cell.changed_by = void.reason or None, user.full_name
                cell.version += 1
                touch(case)
                action = "cell.voided" if void.reason else "cell.restored"
                audit.append(db, user, action, case.id, cell=number, version=cell.version)
            return rows_of(db, case, [cell])[0]

    def cases_of(self, user: User, patient: str) -> tuple[Case, ...]:
        """All cases of a patient, by the exact name or number; for administrators."""
        with self.database.read() as db:
            require(user, Role.ADMINISTRATOR)
            query = sa.select(t.Case).where(t.Case.patient == patient, t.Case.status != Status.ERASED)
            return records(db, db.scalars(query.order_by(t.Case.created)).all()) if patient else ()

    def due(self, user: User, retention: timedelta | None, at: datetime | None = None) -> tuple[Case, ...]:
        """Signed and void cases that were last changed before the time of retention; for administrators."""
        with self.database.read() as db:
            require(user, Role.ADMINISTRATOR)
            if retention is None:
                return ()
            old = t.Case.changed < (at or t.now()) - retention
            query = sa.select(t.Case).where(t.Case.status.in_(_ENDED), old)
            return records(db, db.scalars(query.order_by(t.Case.changed)).all())

    def void_patient(self, user: User, patient: str, reason: str) -> int:
        """Mark all cases of a patient as void; returns how many.

        Raises:
            Forbidden: the user is no administrator.
            NotFound: there is no case of this patient.
        """
        cases = [case for case in self.cases_of(user, patient) if case.status is not Status.VOID]
        if not cases:
            raise NotFound("there is no case of this patient.")
        for case in cases:
            self.void_case(user, case.id, VoidCase(version=case.version, reason=reason))
        return len(cases)

    def erase_patient(self, user: User, patient: str) -> Erased:
        """Erase all cases of a patient, by the exact name or number.

        Raises:
            Forbidden: the user is no administrator.
            NotFound: there is no case of this patient.
        """
        cases = self.cases_of(user, patient)
        if not cases:
            raise NotFound("there is no case of this patient.")
        return self.erase(user, [case.id for case in cases], "request")

    def erase(self, user: User, case_ids: Sequence[str], why: Why) -> Erased:
        """Erase cases: entries, cells, corrections, signed contents, and the images that no other case holds.

        Raises:
            Forbidden: the user is no administrator.
            NotFound: one of them does not exist.
            Damaged: one of them was changed past the station.
        """
        images = 0
        for case_id in case_ids:
            with self.database.write() as db:
                require(user, Role.ADMINISTRATOR)
                case = get_case(db, user, case_id, lock=True)
                digests = _erase(db, case)
                audit.append(db, user, "case.erased", case.id, why=why, images=len(digests))
            for digest in digests:  # the database first: no case may show an image that is gone
                with suppress(FileNotFoundError):
                    self.images.path(digest).unlink()
            images += len(digests)
        shutil.rmtree(self.images.folder.parent / EMBEDDINGS, ignore_errors=True)
        self.database.forget()
        return Erased(cases=len(case_ids), images=images)


def _erase(db: Session, case: t.Case) -> list[str]:
    """Leave the tombstone of a case; returns the digests of images that no other case holds."""
    held = set(db.scalars(held_files(case.id, others=True)))
    digests = [digest for digest in db.scalars(held_files(case.id)) if digest not in held]
    for rows in (t.GestureCell, t.Gesture, t.Cell, t.Field, t.Overview, t.Share, t.Job, t.Order, t.Delivery):
        db.execute(sa.delete(rows).where(rows.case_id == case.id).execution_options(synchronize_session=False))
    with signed_contents_open(db):
        blank = sa.update(t.Signed).where(t.Signed.case_id == case.id).values(content="")
        db.execute(blank.execution_options(synchronize_session=False))
    case.slide, case.patient, case.comment, case.search, case.findings = "erased", "", "", "", ""
    for name in _EMPTIED:
        setattr(case, name, None)
    case.cells = case.failures = case.corrected = case.pending = 0
    case.status = Status.ERASED
    case.version += 1
    case.changed = t.now()
    return digests
