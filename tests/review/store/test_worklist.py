"""The work list: views, order, planning, handing over, and the alarms that it finds cases by."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from leukopy.review.records import (
    Amendment,
    CaseChange,
    CasePlan,
    CaseSearch,
    HandOver,
    Priority,
    Role,
    UserChange,
    View,
    VoidCase,
    VoidCell,
)
from leukopy.review.store import Conflict, Forbidden, NotAllowed, NotFound, Store
from leukopy.review.store import tables as t


def listed(station, user, **wanted):
    return [case.slide for case in station.store.cases.search(user, CaseSearch(**wanted)).cases]


def plan(station, case, priority=Priority.ROUTINE, due=None, user=None):
    return station.store.planning.plan(
        user or station.reader, case.id, CasePlan(version=case.version, priority=priority, due=due)
    )


def test_each_view_holds_the_cases_that_it_names(station):
    station.draft(slide="empty")
    station.classified(slide="draft")
    reviewed = station.classified(slide="reviewed")
    station.store.signing.mark_reviewed(station.reader, reviewed.id, reviewed.version)
    signed = station.signed(slide="signed")
    amending = station.signed(slide="amending")
    reason = Amendment(version=amending.version, reason="because")
    station.store.signing.amend(station.reviewer, amending.id, reason)
    station.draft(station.stranger, slide="another's")
    assert signed.owner_id == station.reader.id
    assert set(listed(station, station.reader, view=View.MINE)) == {"empty", "draft", "reviewed", "amending"}
    assert listed(station, station.reader, view=View.TO_REVIEW) == ["draft"]
    assert set(listed(station, station.reviewer, view=View.TO_SIGN)) == {"reviewed", "amending"}
    assert listed(station, station.reviewer, view=View.MINE) == []
    views = station.store.cases.search(station.reader, CaseSearch(text="draft")).views
    assert views == {
        View.ALL: 5, View.MINE: 4, View.TO_REVIEW: 1, View.TO_SIGN: 2, View.ABNORMAL: 0, View.BLASTS: 0,
    }  # fmt: skip
    assert station.store.cases.search(station.reviewer, CaseSearch()).views[View.ALL] == 6


def test_images_that_wait_for_the_model_are_not_to_be_reviewed(station):
    case = station.classified(slide="more")
    station.add(case, ["later.png"])
    assert listed(station, station.reader, view=View.TO_REVIEW) == []


def test_blasts_are_counted_with_every_change_of_a_class(station):
    case = station.classified()
    assert (case.blasts, case.abnormal) == (0, 0)
    corrected = station.correct(station.reader, case, (1, "BLAST"), (2, "MYO")).case
    assert corrected.blasts == 2
    assert (
        listed(station, station.reader, view=View.BLASTS)
        == ["S1"]
        == listed(station, station.reader, view=View.ABNORMAL)
    )
    cell = station.cell(case, 1)
    station.store.removal.void_cell(station.reader, case.id, 1, VoidCell(version=cell.version, reason="a smudge"))
    assert station.store.cases.get(station.reader, case.id).blasts == 1
    station.store.corrections.undo(station.reader, case.id)
    assert station.store.cases.get(station.reader, case.id).blasts == 0
    assert listed(station, station.reader, view=View.BLASTS) == []


def test_values_outside_their_range_are_counted_and_follow_the_entries(station):
    lymphocytes = [(number, "LY") for number in range(1, 31)]
    case = station.classified(30)
    found = station.correct(station.reader, case, *[move for move in lymphocytes if move[0] % 6 != 2]).case
    # 30 lymphocytes of 30: they are above their range with all their limits, neutrophils below.
    assert found.abnormal == 2
    change = CaseChange(version=found.version, leukocytes=20.0)
    found = station.store.cases.change(station.reader, case.id, change)
    assert found.abnormal > 2  # leukocytes, lymphocytes and neutrophils of the blood, too
    change = CaseChange(version=found.version, age=2.0, leukocytes=None)
    assert station.store.cases.change(station.reader, case.id, change).abnormal == 0  # a child has no usual shares


def test_a_void_case_raises_no_alarm(station):
    case = station.classified()
    case = station.correct(station.reader, case, (1, "BLAST")).case
    station.store.removal.void_case(station.reviewer, case.id, VoidCase(version=case.version, reason="wrong slide"))
    assert listed(station, station.reviewer, view=View.ABNORMAL) == []


def test_cases_are_sorted_by_every_column_and_those_without_a_day_come_last(station):
    first = station.draft(slide="b", patient="Z", due=date(2026, 3, 2))
    second = station.draft(slide="C", patient="y")
    third = station.draft(slide="a", patient="x", due=date(2026, 3, 1), priority="emergency")
    plan(station, second, Priority.URGENT)
    assert listed(station, station.reader, sort="due", descending=False) == ["a", "b", "C"]
    assert listed(station, station.reader, sort="due") == ["b", "a", "C"]
    assert listed(station, station.reader, sort="priority") == ["a", "C", "b"]
    assert listed(station, station.reader, sort="slide", descending=False) == ["a", "b", "C"]
    assert listed(station, station.reader, sort="patient", descending=False) == ["a", "C", "b"]
    assert listed(station, station.reader, sort="created", descending=False) == ["b", "C", "a"]
    for sort in ("owner", "status", "cells", "changed"):
        assert sorted(listed(station, station.reader, sort=sort)) == ["C", "a", "b"]
    assert {first.priority, third.priority} == {Priority.ROUTINE, Priority.EMERGENCY}


def test_a_plan_is_in_the_log_and_leaves_the_status_alone(station):
    case = station.classified()
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    planned = plan(station, case, Priority.URGENT, date(2026, 4, 1))
    assert (planned.priority, planned.due, planned.status) == (Priority.URGENT, date(2026, 4, 1), case.status)
    entry = station.store.audit.history(station.reader, case.id)[-1]
    assert (entry.action, entry.user) == ("case.planned", "ron")
    assert entry.detail == {"priority": "urgent", "due": "2026-04-01", "version": planned.version}
    with pytest.raises(Conflict):
        plan(station, case)
    signed = station.store.signing.sign(station.reviewer, case.id, planned.version, station.content(case))
    assert plan(station, signed).priority is Priority.ROUTINE
    assert station.store.audit.verify().intact


def test_a_case_is_handed_over_by_its_owner_or_a_reviewer_and_the_log_says_so(station):
    case = station.classified()
    given = station.store.planning.hand_over(
        station.reader, case.id, HandOver(version=case.version, to=station.stranger.id)
    )
    assert (given.owner, given.owner_id) == ("Dr eve", station.stranger.id)
    entry = station.store.audit.history(station.reader, case.id)[-1]  # still seen by the one who had it
    assert (entry.action, entry.detail["from_user"], entry.detail["with_user"]) == ("case.handed_over", "ron", "eve")
    assert listed(station, station.stranger, view=View.MINE) == ["S1"]
    assert listed(station, station.reader, view=View.MINE) == []
    with pytest.raises(Forbidden):  # it is eve's now
        station.store.planning.hand_over(station.reader, case.id, HandOver(version=given.version, to=station.reader.id))
    back = station.store.planning.hand_over(
        station.reviewer, case.id, HandOver(version=given.version, to=station.reader.id)
    )
    assert back.owner == "Dr ron"
    assert station.store.audit.verify().intact


def test_a_case_is_handed_to_active_users_only_and_a_void_one_to_nobody(station):
    case = station.classified()
    station.store.users.change(station.administrator, station.stranger.id, UserChange(active=False))
    with pytest.raises(NotFound):
        station.store.planning.hand_over(
            station.reader, case.id, HandOver(version=case.version, to=station.stranger.id)
        )
    station.store.removal.void_case(station.reviewer, case.id, VoidCase(version=case.version, reason="wrong slide"))
    case = station.store.cases.get(station.reader, case.id)
    with pytest.raises(NotAllowed):
        plan(station, case)
    assert station.reader.role is Role.READER


def test_cases_of_an_earlier_version_are_counted_when_the_station_is_opened(station, settings):
    case = station.correct(station.reader, station.classified(), (1, "BLAST")).case
    damaged = station.classified()
    with station.store.database.write() as db:  # as an earlier version left them: no digest holds a missing number
        from leukopy.review.store import audit, seals

        for one in (case, damaged):
            row = db.get_one(t.Case, one.id)
            seals.hold(db, seals.case_subject(one.id))
            row.blasts = row.abnormal = None
            audit.append(db, None, "case.sealed", one.id)
    station.sql(f"UPDATE cases SET patient = 'Eve' WHERE id = '{damaged.id}'")
    again = Store.open(settings, station.store.users.passwords)
    with again.database.read() as db:
        assert db.scalar(sa.select(t.Case.blasts).where(t.Case.id == case.id)) == 1
        assert db.scalar(sa.select(t.Case.blasts).where(t.Case.id == damaged.id)) is None  # not covered up
    assert damaged.id in again.audit.verify().problem
    again.close()
