"""Cases: opened, found, changed, shared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.plausibility import check
from leukopy.review.records import (
    Case,
    CaseChange,
    CaseDraft,
    CaseOrder,
    CasePage,
    CaseSearch,
    Role,
    Signature,
    Status,
    User,
    View,
)
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, may, open_case, touch, visible
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Conflict, Forbidden, NotFound
from leukopy.review.store.phrases import check_findings
from leukopy.review.store.worklist import in_order, in_view, of_text

_FIELDS = tuple(name for name in Case.model_fields if name not in {"owner", "signatures", "order", "model", "findings"})
_SIGNING = {"case.signed": "first", "case.second_signed": "second"}
"""Actions of the log, and the signature that each tells of."""
_MAY_BE_EMPTY = frozenset({"specimen_date", "age", "sex", "lymphocytes", "leukocytes"})


@dataclass(frozen=True)
class CaseStore:
    """Opens, finds, changes and shares cases."""

    database: Database

    def open(self, user: User, draft: CaseDraft) -> Case:
        """Open a case; it belongs to the user.

        Raises:
            InputError: one of its entries cannot be (`plausibility`).
        """
        check(draft, CaseDraft.model_fields)
        with self.database.write() as db:
            case = t.Case(**draft.model_dump(), owner_id=user.id, search=folded(draft))
            db.add(case)
            db.flush()
            seals.hold(db, seals.case_subject(case.id), new=True)
            audit.append(db, user, "case.opened", case.id)
            db.flush()
            return record(db, db.scalars(sa.select(t.Case).where(t.Case.id == case.id)).one())

    def get(self, user: User, case_id: str) -> Case:
        """A case that the user may see.

        Raises:
            NotFound: as `access.get_case`.
        """
        with self.database.read() as db:
            return record(db, get_case(db, user, case_id))

    def search(self, user: User, wanted: CaseSearch) -> CasePage:
        """The cases of a view that a user may see; each word of the text must stand in them."""
        with self.database.read() as db:
            conditions = [visible(user), in_view(wanted.view, user), *of_text(wanted.text)]
            if wanted.status is not None:
                conditions.append(t.Case.status == wanted.status)
            total = db.scalar(sa.select(sa.func.count()).select_from(t.Case).where(*conditions)) or 0
            page = sa.select(t.Case).where(*conditions).order_by(*in_order(wanted))
            cases = db.scalars(page.offset((wanted.page - 1) * wanted.per_page).limit(wanted.per_page)).all()
            return CasePage(cases=records(db, cases), total=total, views=_views(db, user))

    def change(self, user: User, case_id: str, change: CaseChange) -> Case:
        """Give a case other values; a field that is given as None is emptied.

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
            Conflict: the case is no longer at this version.
            InputError: one of its entries cannot be (`plausibility`).
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            check_version(db, case, change.version)
            given: dict[str, Any] = {
                name: value
                for name, value in change.model_dump(exclude={"version"}, exclude_unset=True).items()
                if value is not None or name in _MAY_BE_EMPTY
            }
            if "findings" in given:
                given["findings"] = check_findings(db, given["findings"], case.findings.split(";"))
            fields = sorted(name for name, value in given.items() if value != getattr(case, name))
            if fields:
                for name in fields:
                    setattr(case, name, given[name])
                check(case, fields)
                case.search = folded(case, case.order.number if case.order else "")
                touch(case)
                audit.append(db, user, "case.changed", case.id, fields=fields, version=case.version)
            return record(db, case)

    def share(self, user: User, case_id: str, with_name: str) -> Case:
        """Let another user work on a case; the owner may, and reviewers.

        Raises:
            NotFound: no such case or user.
            Forbidden: the case is another's.
        """
        with self.database.write() as db:
            case = get_case(db, user, case_id, lock=True)
            if case.owner_id != user.id and not may(user, Role.REVIEWER):
                raise Forbidden("only the owner of a case or a reviewer shares it.")
            other = db.scalar(sa.select(t.User).where(t.User.name == with_name, t.User.active))
            if other is None:
                raise NotFound("there is no active user of this name.")
            if other.id != case.owner_id and db.get(t.Share, (case.id, other.id)) is None:
                db.add(t.Share(case_id=case.id, user_id=other.id))
                audit.append(db, user, "case.shared", case.id, with_user=other.name)
            return record(db, case)


def _views(db: Session, user: User) -> dict[View, int]:
    """Number of cases in each view."""
    sums = [sa.func.sum(sa.case((in_view(view, user), 1), else_=0)) for view in View]
    found = db.execute(sa.select(*sums).where(visible(user))).one()
    return {view: int(number or 0) for view, number in zip(View, found, strict=True)}


def check_version(db: Session, case: t.Case, version: int | None) -> None:
    """Raises Conflict: the case is no longer at this version. None: any will do."""
    if version is not None and case.version != version:
        raise Conflict("the case was changed meanwhile: load it again.", record(db, case))


def record(db: Session, case: t.Case) -> Case:
    """As the API shows it."""
    return records(db, [case])[0]


def records(db: Session, cases: Sequence[t.Case]) -> tuple[Case, ...]:
    """As the API shows them, with their signatures."""
    once_signed = [case.id for case in cases if case.status not in (Status.DRAFT, Status.REVIEWED)]
    signatures: dict[str, list[Signature]] = {}
    if once_signed:
        told = _told(db, once_signed)
        query = sa.select(t.Signature).where(t.Signature.case_id.in_(once_signed))
        for row in db.scalars(query.order_by(t.Signature.revision, t.Signature.part)):
            entry = told.get((row.case_id, row.revision, row.part))
            signatures.setdefault(row.case_id, []).append(_signature(row, entry))
    return tuple(
        Case(
            **{name: getattr(case, name) for name in _FIELDS},
            findings=tuple(filter(None, case.findings.split(";"))),
            model=f"{case.model} {case.model_sha256[:12]}" if case.model and case.model_sha256 else None,
            owner=case.owner.full_name,
            signatures=tuple(signatures.get(case.id, ())),
            order=CaseOrder.model_validate(case.order, from_attributes=True) if case.order else None,
        )
        for case in cases
    )


def _told(db: Session, case_ids: Sequence[str]) -> dict[tuple[str | None, int, str], t.Entry]:
    """The log's entry on each signature, by case, revision and part."""
    query = sa.select(t.Entry).where(t.Entry.case_id.in_(case_ids), t.Entry.action.in_(_SIGNING))
    return {(one.case_id, json.loads(one.detail)["revision"], _SIGNING[one.action]): one for one in db.scalars(query)}


def _signature(row: t.Signature, entry: t.Entry | None) -> Signature:
    return Signature.model_validate(
        {"revision": row.revision, "part": row.part, "user": row.full_name, "at": row.at, "digest": row.digest,
         "entry": entry and entry.number, "entry_hash": entry and entry.hash}
    )  # fmt: skip


def folded(case: CaseDraft | t.Case, order: str = "") -> str:
    """What a search looks in: entries of the case, and the number of its order."""
    return "\n".join(filter(None, (case.slide, case.patient, case.comment, order))).casefold()
