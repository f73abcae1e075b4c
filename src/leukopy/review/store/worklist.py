"""Views and orders of the work list."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from leukopy.review.records import OPEN, CaseSearch, Priority, Status, User, View
from leukopy.review.store import tables as t

_URGENCY = {priority: rank for rank, priority in enumerate(Priority)}


def in_view(view: View, user: User) -> sa.ColumnElement[bool]:
    """The cases of a view, of those that the user may see."""
    if view is View.MINE:
        return sa.and_(t.Case.owner_id == user.id, t.Case.status.in_(OPEN))
    if view is View.TO_REVIEW:
        return sa.and_(t.Case.status == Status.DRAFT, t.Case.cells > 0, t.Case.pending == 0)
    if view is View.TO_SIGN:
        return t.Case.status.in_((Status.REVIEWED, Status.AMENDING))
    valid = t.Case.status != Status.VOID
    if view is View.ABNORMAL:
        return sa.and_(valid, sa.or_(t.Case.abnormal > 0, t.Case.blasts > 0))
    return sa.and_(valid, t.Case.blasts > 0) if view is View.BLASTS else sa.true()


def of_text(text: str) -> Sequence[sa.ColumnElement[bool]]:
    """The cases in which each word of a text stands."""
    return [t.Case.search.contains(word, autoescape=True) for word in text.casefold().split()]


def in_order(wanted: CaseSearch) -> Sequence[sa.ColumnElement[object]]:
    """The order of a search; cases without a due day come last, and of equals the latest change first."""
    urgency = sa.case(_URGENCY, value=t.Case.priority)
    status = sa.case({status: rank for rank, status in enumerate(Status)}, value=t.Case.status)
    keys: dict[str, sa.ColumnElement[object]] = {
        "priority": urgency,
        "due": sa.type_coerce(t.Case.due, sa.Date),
        "slide": sa.func.lower(t.Case.slide),
        "patient": sa.func.lower(t.Case.patient),
        "owner": sa.select(sa.func.lower(t.User.full_name)).where(t.User.id == t.Case.owner_id).scalar_subquery(),
        "status": status,
        "cells": sa.type_coerce(t.Case.cells, sa.Integer),
        "created": sa.type_coerce(t.Case.created, t.Moment),
        "changed": sa.type_coerce(t.Case.changed, t.Moment),
    }
    key = keys[wanted.sort]
    ends = [t.Case.due.is_(None), key] if wanted.sort == "due" else [key]
    ends[-1] = key.desc() if wanted.descending else key.asc()
    return [*ends, t.Case.changed.desc(), t.Case.id]
