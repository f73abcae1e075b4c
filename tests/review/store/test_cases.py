"""Who may see and change which case, and how cases are found."""

from __future__ import annotations

import inspect
from datetime import date

import pytest

from leukopy.review.records import (
    Amendment,
    CaseChange,
    CasePlan,
    CaseSearch,
    CellComment,
    Confirmation,
    Confirmations,
    Correction,
    Corrections,
    DrawnBox,
    HandOver,
    MergeWith,
    NewReading,
    Priority,
    Refused,
    Route,
    SlideOverview,
    SmearChange,
    SmearFindings,
    Status,
    Tally,
    VoidCase,
    VoidCell,
)
from leukopy.review.store import Conflict, Forbidden, NewImage, NotFound
from leukopy.review.store.fields import CellPicture


def test_a_case_is_given_back_as_it_was_opened(station):
    values = {
        "slide": "S 7", "patient": "Zoé", "specimen_date": date(2026, 2, 28), "comment": "two\nlines", "age": 61.5,
        "lymphocytes": 7.25, "leukocytes": 12.5, "target": 200,
    }  # fmt: skip
    opened = station.draft(**values)
    again = station.store.cases.get(station.reader, opened.id)
    assert again == opened
    assert again.model_dump(include=set(values)) == values
    assert (again.status, again.version, again.revision, again.owner) == (Status.DRAFT, 1, 1, "Dr ron")


def test_a_reader_sees_own_and_shared_cases_and_others_see_all(station):
    own, other = station.draft(), station.draft(station.stranger)
    assert [case.id for case in station.store.cases.search(station.reader, CaseSearch()).cases] == [own.id]
    for user in (station.reviewer, station.administrator):
        assert {case.id for case in station.store.cases.search(user, CaseSearch()).cases} == {own.id, other.id}
        assert station.store.cases.get(user, other.id).id == other.id
    station.store.cases.share(station.stranger, other.id, "ron")
    assert station.store.cases.search(station.reader, CaseSearch()).total == 2
    assert station.store.cases.get(station.reader, other.id).id == other.id


def test_a_case_of_another_reader_does_not_exist(station):
    case, nobodys = station.classified(), "0" * 32
    messages = set()
    for case_id in (case.id, nobodys):
        with pytest.raises(NotFound) as refused:
            station.store.cases.get(station.stranger, case_id)
        messages.add(str(refused.value))
    assert len(messages) == 1  # nothing tells one from the other


def steps_on_a_case(store):
    """Names of all methods of the store's parts that take a user and a case: ``cases.get`` …"""
    return {
        f"{part}.{name}"
        for part, found in vars(store).items()
        for name, method in inspect.getmembers(type(found), inspect.isfunction)
        if {"user", "case_id"} <= inspect.signature(method).parameters.keys()
    }


def test_every_step_on_another_readers_case_is_refused(station):
    store, case, eve = station.store, station.classified(), station.stranger
    picture = NewImage("x.png", b"new bytes", 1, 1, "image/png")
    calls = {
        "cases.get": lambda: store.cases.get(eve, case.id),
        "cases.change": lambda: store.cases.change(eve, case.id, CaseChange(version=case.version, slide="mine")),
        "cells.add_images": lambda: store.cells.add_images(eve, case.id, [picture]),
        "cells.add_failures": lambda: store.cells.add_failures(
            eve, case.id, [Refused(name="n", reason="r", message="m")]
        ),
        "cells.all": lambda: store.cells.all(eve, case.id),
        "cells.with_classes": lambda: store.cells.with_classes(eve, case.id),
        "cells.failures": lambda: store.cells.failures(eve, case.id),
        "cells.detail": lambda: store.cells.detail(eve, case.id, 1),
        "cells.image": lambda: store.cells.image(eve, case.id, 1),
        "removal.void_cell": lambda: store.removal.void_cell(eve, case.id, 1, VoidCell(version=1, reason="mine")),
        "cells.elsewhere": lambda: store.cells.elsewhere(eve, case.id),
        "corrections.confirm": lambda: store.corrections.confirm(
            eve, case.id, Confirmations(changes=(Confirmation(cell=1, version=2),))
        ),
        "cells.pictures": lambda: store.cells.pictures(eve, case.id),
        "cells.path": lambda: store.cells.path(eve, case.id, 1),
        "predictions.model": lambda: store.predictions.model(eve, case.id),
        "corrections.correct": lambda: store.corrections.correct(
            eve, case.id, Corrections(changes=(Correction(cell=1, version=2, code="LY"),))
        ),
        "corrections.undo": lambda: store.corrections.undo(eve, case.id),
        "corrections.redo": lambda: store.corrections.redo(eve, case.id),
        "corrections.undo_state": lambda: store.corrections.undo_state(eve, case.id),
        "corrections.comment": lambda: store.corrections.comment(
            eve, case.id, 1, CellComment(version=1, comment="mine")
        ),
        "signing.mark_reviewed": lambda: store.signing.mark_reviewed(eve, case.id, case.version),
        "signing.reopen": lambda: store.signing.reopen(eve, case.id, case.version),
        "cases.share": lambda: store.cases.share(eve, case.id, "eve"),
        "signing.content": lambda: store.signing.content(eve, case.id),
        "audit.history": lambda: store.audit.history(eve, case.id),
        "jobs.start": lambda: store.jobs.start(eve, case.id),
        "jobs.latest": lambda: store.jobs.latest(eve, case.id),
        "jobs.cancel": lambda: store.jobs.cancel(eve, case.id),
        "merging.siblings": lambda: store.merging.siblings(eve, case.id),
        "merging.check_same_patient": lambda: store.merging.check_same_patient(eve, case.id, case.id),
        "merging.merge": lambda: store.merging.merge(eve, case.id, MergeWith(other=case.id, slide="mine")),
        "readings.all": lambda: store.readings.all(eve, case.id),
        "eye_counts.add": lambda: store.eye_counts.add(eve, case.id, Tally(key=case.id, steps=("LY",))),
        "eye_counts.counts": lambda: store.eye_counts.counts(eve, case.id),
        "rules.demands": lambda: store.rules.demands(eve, case.id, station.content(case)),
        "fields.add": lambda: store.fields.add(eve, case.id, [picture]),
        "fields.all": lambda: store.fields.all(eve, case.id),
        "fields.image": lambda: store.fields.image(eve, case.id, 1),
        "fields.overview": lambda: store.fields.overview(eve, case.id),
        "fields.set_places": lambda: store.fields.set_places(
            eve, case.id, {1: (0, 0, 9, 9)}, SlideOverview(width=9, height=9), b"png"
        ),
        "fields.findings": lambda: store.fields.findings(eve, case.id),
        "fields.find": lambda: store.fields.find(
            eve, case.id, SmearChange(version=case.version, findings=SmearFindings())
        ),
        "fields.draw": lambda: store.fields.draw(
            eve, case.id, 1, DrawnBox(version=case.version, box=(0, 0, 9, 9)), CellPicture(b"png", 9, 9)
        ),
        "outbox.of_case": lambda: store.outbox.of_case(eve, case.id),
        "planning.plan": lambda: store.planning.plan(eve, case.id, CasePlan(version=1, priority=Priority.URGENT)),
        "planning.hand_over": lambda: store.planning.hand_over(eve, case.id, HandOver(version=1, to=eve.id)),
    }
    for call in calls.values():
        with pytest.raises(NotFound):
            call()
    forbidden = {
        "signing.sign": lambda: store.signing.sign(eve, case.id, case.version, station.content(case)),
        "outbox.send_again": lambda: store.outbox.send_again(eve, case.id, Route.HL7),
        "readings.ask": lambda: store.readings.ask(eve, case.id, NewReading(reader=eve.id)),
        "removal.void_case": lambda: store.removal.void_case(
            eve, case.id, VoidCase(version=case.version, reason="mine")
        ),
        "signing.second_sign": lambda: store.signing.second_sign(eve, case.id, case.version),
        "signing.amend": lambda: store.signing.amend(eve, case.id, Amendment(version=case.version, reason="because")),
    }
    for call in (*forbidden.values(), lambda: store.audit.entries(eve)):
        with pytest.raises(Forbidden):
            call()
    assert calls.keys() | forbidden.keys() == steps_on_a_case(store)
    assert store.cases.get(station.reader, case.id) == case
    assert not any(path.read_bytes() == b"new bytes" for path in store.images.folder.rglob("*") if path.is_file())


def test_only_the_owner_or_a_reviewer_shares(station):
    case = station.draft()
    station.store.cases.share(station.reader, case.id, "eve")
    with pytest.raises(Forbidden):
        station.store.cases.share(station.stranger, case.id, "rita")
    with pytest.raises(NotFound, match="no active user"):
        station.store.cases.share(station.reader, case.id, "nobody")
    station.store.cases.share(station.reviewer, case.id, "eve")  # twice does no harm


def test_a_change_keeps_what_it_does_not_name_and_empties_what_it_gives_as_none(station):
    case = station.draft(patient="Ann", age=40, leukocytes=5)
    changed = station.store.cases.change(
        station.reader, case.id, CaseChange(version=case.version, age=None, comment="seen", slide=None)
    )
    assert (changed.slide, changed.patient, changed.age, changed.leukocytes, changed.comment) == (
        "S1",
        "Ann",
        None,
        5,
        "seen",
    )
    assert changed.version == case.version + 1


def test_a_change_on_an_old_version_is_refused_and_shows_the_case_as_it_is(station):
    case = station.draft()
    newer = station.store.cases.change(station.reader, case.id, CaseChange(version=case.version, age=50))
    with pytest.raises(Conflict) as refused:
        station.store.cases.change(station.reader, case.id, CaseChange(version=case.version, age=60))
    assert refused.value.current == newer == station.store.cases.get(station.reader, case.id)


def test_a_change_brings_a_reviewed_case_back_to_draft(station):
    case = station.classified()
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = station.store.cases.change(station.reader, case.id, CaseChange(version=case.version, leukocytes=6))
    assert case.status is Status.DRAFT


def test_a_search_finds_folded_words_in_any_order_and_takes_wildcards_literally(station):
    zoe = station.draft(patient="ÉLODIE Straße", slide="A_1")
    station.draft(patient="Ann", slide="A21", comment="100% sure")

    def found(text: str) -> list[str]:
        return [case.patient for case in station.store.cases.search(station.reader, CaseSearch(text=text)).cases]

    assert found("élodie") == found("STRASSE élo") == found("a_1") == [zoe.patient]
    assert found("100%") == ["Ann"]
    assert found("%") == ["Ann"]
    assert found("' OR 1=1 --") == []
    assert len(found("")) == 2


def test_a_search_gives_pages_latest_change_first(station):
    cases = [station.draft(slide=f"S{number}") for number in range(5)]
    first = station.store.cases.change(station.reader, cases[0].id, CaseChange(version=1, age=3))
    pages = [station.store.cases.search(station.reader, CaseSearch(page=page, per_page=2)) for page in (1, 2, 3, 4)]
    slides = [case.slide for page in pages for case in page.cases]
    assert slides == [first.slide, "S4", "S3", "S2", "S1"]
    assert {page.total for page in pages} == {5}
    draft, signed = (
        station.store.cases.search(station.reader, CaseSearch(status=status)).total for status in ("draft", "signed")
    )
    assert (draft, signed) == (5, 0)
