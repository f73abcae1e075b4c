"""Priority, due day and owner of a case: facts of the work list, which may change whatever the status of the case."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Case, CasePlan, HandOver, Role, Status, User
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, may
from leukopy.review.store.cases import check_version, record
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Forbidden, NotAllowed, NotFound


@dataclass(frozen=True)
class PlanningStore:
    """Plans cases and hands them over; the owner of a case may, and reviewers."""

    database: Database

    def plan(self, user: User, case_id: str, plan: CasePlan) -> Case:
        """Set priority and due day of a case.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the case is another's.
            Conflict: it is no longer at this version.
            NotAllowed: it is void.
        """
        with self.database.write() as db:
            case = _own_case(db, user, case_id, plan.version)
            if (case.priority, case.due) != (plan.priority, plan.due):
                case.priority, case.due = plan.priority, plan.due
                case.version += 1
                due = plan.due.isoformat() if plan.due else ""
                audit.append(db, user, "case.planned", case.id, priority=plan.priority.value, due=due,
                             version=case.version)  # fmt: skip
                db.flush()
            return record(db, case)

    def hand_over(self, user: User, case_id: str, step: HandOver) -> Case:
        """Give a case to another user, who owns it from now on; a reader who owned it keeps it as a shared case.

        Raises:
            NotFound: no such case for this user, or no such active user.
            Forbidden: the case is another's.
            Conflict: it is no longer at this version.
            NotAllowed: it is void.
        """
        with self.database.write() as db:
            case = _own_case(db, user, case_id, step.version)
            other = db.scalar(sa.select(t.User).where(t.User.id == step.to, t.User.active))
            if other is None:
                raise NotFound("there is no active user of this name.")
            if other.id != case.owner_id:
                before = case.owner
                if (shared := db.get(t.Share, (case.id, other.id))) is not None:
                    db.delete(shared)
                if before.role is Role.READER:
                    db.add(t.Share(case_id=case.id, user_id=before.id))
                case.owner = other
                case.version += 1
                audit.append(db, user, "case.handed_over", case.id, from_user=before.name, with_user=other.name,
                             version=case.version)  # fmt: skip
                db.flush()
            return record(db, case)


def _own_case(db: Session, user: User, case_id: str, version: int) -> t.Case:
    """A case that the user may plan, locked."""
    case = get_case(db, user, case_id, lock=True)
    if case.owner_id != user.id and not may(user, Role.REVIEWER):
        raise Forbidden("only the owner of a case or a reviewer plans it and hands it over.")
    if case.status is Status.VOID:
        raise NotAllowed("the case is void: nothing of it can be changed.")
    check_version(db, case, version)
    return case
