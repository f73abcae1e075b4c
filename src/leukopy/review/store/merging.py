"""Several slides of one patient: found, and merged into one case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from leukopy.inference.rows import DUPLICATE
from leukopy.review.records import BY_EYE, Case, MergeWith, Status, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, touch, visible
from leukopy.review.store.cases import folded, record, records
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed

_ENTRIES = ("patient", "specimen_date", "age", "sex", "lymphocytes", "leukocytes", "leukocytes_corrected", "target",
            "priority", "due")  # fmt: skip
"""What the merged case takes from the first of the two."""
_CELL = (
    "name", "digest", "media_type", "width", "height", "reason", "message", "analysed", "code", "model_code",
    "confidence", "flags", "why", "probabilities", "attributes", "comment", "changed_by", "seen_by", "void_reason",
)  # fmt: skip


@dataclass(frozen=True)
class MergingStore:
    """Finds and merges the slides of a patient."""

    database: Database
    settings: ReviewSettings

    def siblings(self, user: User, case_id: str) -> tuple[Case, ...]:
        """The other cases of the patient of a case that the user may see; none where no patient is named.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            case = get_case(db, user, case_id)
            if not case.patient:
                return ()
            same = sa.and_(t.Case.patient == case.patient, t.Case.id != case.id, t.Case.status != Status.VOID)
            query = sa.select(t.Case).where(same, visible(user)).order_by(t.Case.created)
            return records(db, db.scalars(query).all())

    def check_same_patient(self, user: User, case_id: str, other_id: str) -> tuple[Case, Case]:
        """Two cases of one patient.

        Raises:
            NotFound: one of them is no case of this user.
            NotAllowed: they are one case, or no patient or different ones are named.
        """
        with self.database.read() as db:
            pair = get_case(db, user, case_id), get_case(db, user, other_id)
            _check_pair(*pair)
            return record(db, pair[0]), record(db, pair[1])

    def merge(self, user: User, case_id: str, step: MergeWith) -> Case:
        """Open a new draft of the user's that holds the cells of two slides of one patient; these do not change.

        Classes, comments, void images and confirmations stay; an image that both slides hold is a duplicate once.

        Raises:
            NotFound: one of them is no case of this user.
            NotAllowed: they are not of one patient, one is void or holds images that are not analysed, different models
                classified them, one was counted by eye and the other not, or both hold too many images.
            Damaged: one of them was changed past the station.
        """
        with self.database.write() as db:
            first, second = (get_case(db, user, key, lock=True) for key in sorted((case_id, step.other)))
            if first.id != case_id:
                first, second = second, first
            _check_pair(first, second)
            self._check_cells(first, second)
            case = t.Case(
                **{name: getattr(first, name) for name in _ENTRIES}, slide=step.slide, comment="", owner_id=user.id,
                search="", model=first.model,
                model_sha256=first.model_sha256, slide_check=_farther(first, second),
            )  # fmt: skip
            case.search = folded(case)
            db.add(case)
            db.flush()
            seals.hold(db, seals.case_subject(case.id), new=True)
            _copy_cells(db, case, first, second)
            touch(case)
            sources = [first.id, second.id]
            audit.append(db, user, "case.merged", case.id, sources=sources, cells=case.cells, version=case.version)
            db.flush()
            return record(db, db.scalars(sa.select(t.Case).where(t.Case.id == case.id)).one())

    def _check_cells(self, first: t.Case, second: t.Case) -> None:
        if Status.VOID in (first.status, second.status):
            raise NotAllowed("the case is void: nothing of it can be changed.")
        if first.pending or second.pending or not (first.cells and second.cells):
            raise NotAllowed("both slides must hold cells, and no image that waits for its analysis.")
        if first.model_sha256 != second.model_sha256:
            raise NotAllowed("the slides were classified by different models, or one of them was counted by eye.")
        most = self.settings.limits.cells_per_case
        if sum(case.cells + case.failures for case in (first, second)) > most:
            raise NotAllowed(f"a case holds at most {most} images; open another case.")


def _check_pair(first: t.Case, second: t.Case) -> None:
    if first.id == second.id:
        raise NotAllowed("choose another slide: a slide is not compared with itself.")
    if not first.patient or first.patient != second.patient:
        raise NotAllowed("the two slides are not of one patient: give both cases the same patient first.")


def _farther(first: t.Case, second: t.Case) -> dict[str, Any] | None:
    """The slide check of the slide that is farther from the training data."""
    known = [case.slide_check for case in (first, second) if case.slide_check]
    return max(known, key=lambda check: float(check["distance"]), default=None)


def _copy_cells(db: Session, case: t.Case, *sources: t.Case) -> None:
    """Copy the cells of cases, one slide after the other; number them anew."""
    seen: set[str] = set()
    for source in sources:
        query = sa.select(t.Cell).where(t.Cell.case_id == source.id).order_by(t.Cell.number)
        for cell in db.scalars(query.options(undefer(t.Cell.probabilities), undefer(t.Cell.attributes))):
            case.last_cell += 1
            values = {name: getattr(cell, name) for name in _CELL}
            if cell.digest in seen and cell.analysed:
                flags = [flag for flag in cell.flags.split(";") if flag and flag != DUPLICATE]
                values["flags"] = ";".join([DUPLICATE, *flags])
            if cell.flags and BY_EYE in cell.flags.split(";"):
                values["name"] = f"#{case.last_cell}"
            if cell.digest is not None:
                seen.add(cell.digest)
            db.add(t.Cell(case_id=case.id, number=case.last_cell, **values))
        case.cells += source.cells
        case.failures += source.failures
        case.corrected += source.corrected
