"""From draft to signed to amended, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leukopy.review.records import (
    Amendment,
    CaseChange,
    CellComment,
    Correction,
    Corrections,
    SignedContent,
    Status,
    VoidCase,
)
from leukopy.review.store import Conflict, Damaged, Forbidden, NotAllowed, NotFound

STEPS = {
    "review": lambda s, case: s.store.signing.mark_reviewed(s.reader, case.id, case.version),
    "reopen": lambda s, case: s.store.signing.reopen(s.reader, case.id, case.version),
    "sign": lambda s, case: s.store.signing.sign(s.reviewer, case.id, case.version, s.content(case)),
    "second": lambda s, case: s.store.signing.second_sign(s.second_reviewer, case.id, case.version),
    "amend": lambda s, case: s.store.signing.amend(
        s.reviewer, case.id, Amendment(version=case.version, reason="missed blast")
    ),
}  # fmt: skip

AFTER = {
    Status.DRAFT: {"review": Status.REVIEWED},
    Status.REVIEWED: {"reopen": Status.DRAFT, "sign": Status.SIGNED},
    Status.SIGNED: {"second": Status.SIGNED, "amend": Status.AMENDING},
    Status.AMENDING: {"sign": Status.AMENDED},
    Status.AMENDED: {"second": Status.AMENDED, "amend": Status.AMENDING},
    Status.VOID: {},
}
"""All steps that are possible, by status."""

PATH = {
    Status.DRAFT: [],
    Status.REVIEWED: ["review"],
    Status.SIGNED: ["review", "sign"],
    Status.AMENDING: ["review", "sign", "amend"],
    Status.AMENDED: ["review", "sign", "amend", "sign"],
    Status.VOID: ["review", "void"],
}
"""An erased case has no content, and is no longer found."""

MOVES = STEPS | {
    "void": lambda s, case: s.store.removal.void_case(
        s.reviewer, case.id, VoidCase(version=case.version, reason="another's blood")
    ),
}


def brought_to(station, status: Status):
    case = station.classified()
    for step in PATH[status]:
        case = MOVES[step](station, case)
    assert case.status is status
    return case


@pytest.mark.parametrize("status", list(PATH))
def test_each_step_is_possible_where_it_should_be_and_refused_elsewhere(station, status):
    for step, take in STEPS.items():
        case = brought_to(station, status)
        if step in AFTER[status]:
            after = take(station, case)
            assert (after.status, after.version) == (AFTER[status][step], case.version + 1)
            assert after == station.store.cases.get(station.reader, case.id)
        else:
            with pytest.raises(NotAllowed, match=status.value):
                take(station, case)
            assert station.store.cases.get(station.reader, case.id) == case


@pytest.mark.parametrize("step", list(STEPS))
def test_each_step_on_an_old_version_is_refused(station, step):
    status = next(status for status, steps in AFTER.items() if step in steps)
    case = brought_to(station, status)
    with pytest.raises(Conflict) as refused:
        STEPS[step](station, case.model_copy(update={"version": case.version - 1}))
    assert refused.value.current == case


@pytest.mark.parametrize("step", ["sign", "second", "amend"])
def test_readers_do_not_sign(station, step):
    status = next(status for status, steps in AFTER.items() if step in steps)
    case = brought_to(station, status)
    as_reader: dict[str, Callable[[], object]] = {
        "sign": lambda: station.store.signing.sign(station.reader, case.id, case.version, station.content(case)),
        "second": lambda: station.store.signing.second_sign(station.reader, case.id, case.version),
        "amend": lambda: station.store.signing.amend(
            station.reader, case.id, Amendment(version=case.version, reason="because")
        ),
    }
    with pytest.raises(Forbidden):
        as_reader[step]()


def test_a_case_without_cells_or_with_images_that_wait_is_not_reviewed(station):
    case = station.draft()
    with pytest.raises(NotAllowed, match="no analysed cell"):
        station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = station.classified()
    station.add(case, ["late"])
    case = station.store.cases.get(station.reader, case.id)
    with pytest.raises(NotAllowed, match="1 images are not analysed"):
        station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = brought_to(station, Status.AMENDING)
    station.add(case, ["late"])
    case = station.store.cases.get(station.reader, case.id)
    with pytest.raises(NotAllowed, match="1 images are not analysed"):
        STEPS["sign"](station, case)


@pytest.mark.parametrize("status", [Status.SIGNED, Status.AMENDED])
def test_after_signing_nothing_changes(station, status):
    case = station.classified()
    station.correct(station.reader, case, (1, "LY"))
    case = station.store.cases.get(station.reader, case.id)
    for step in PATH[status]:
        case = STEPS[step](station, case)
    store, user, version = station.store, station.reader, station.cell(case, 1).version
    gesture = Corrections(changes=(Correction(cell=1, version=version, code="MO"),))
    for change in (
        lambda: store.corrections.correct(user, case.id, gesture),
        lambda: store.corrections.undo(user, case.id),
        lambda: store.corrections.redo(user, case.id),
        lambda: store.corrections.comment(user, case.id, 1, CellComment(version=version, comment="late")),
        lambda: store.cases.change(user, case.id, CaseChange(version=case.version, leukocytes=99)),
        lambda: station.add(case, ["late"]),
        lambda: store.jobs.start(user, case.id),
    ):
        with pytest.raises(NotAllowed, match="signed"):
            change()
    assert store.cases.get(user, case.id) == case


def test_what_was_signed_before_is_not_undone_in_an_amendment(station):
    case = station.classified()
    station.correct(station.reader, case, (1, "LY"))
    case = station.store.cases.get(station.reader, case.id)
    for step in ("review", "sign", "amend"):
        case = STEPS[step](station, case)
    assert station.store.corrections.undo_state(station.reader, case.id) == (False, False)
    with pytest.raises(NotAllowed, match="nothing to undo"):
        station.store.corrections.undo(station.reader, case.id)


def test_every_revision_is_kept_with_its_signatures(station):
    case = station.classified()
    first = station.content(station.store.cases.get(station.reader, case.id))
    case = STEPS["second"](station, STEPS["sign"](station, STEPS["review"](station, case)))
    case = STEPS["amend"](station, case)
    assert (case.revision, case.amendment_reason) == (2, "missed blast")
    changed = station.correct(station.reader, case, (1, "BLAST")).case
    assert changed.status is Status.AMENDING
    second = station.content(changed)
    case = STEPS["sign"](station, changed)
    told = [(signature.revision, signature.part, signature.user) for signature in case.signatures]
    assert told == [(1, "first", "Dr rita"), (1, "second", "Dr saul"), (2, "first", "Dr rita")]
    assert case.signatures[0].digest == case.signatures[1].digest != case.signatures[2].digest
    stored = station.store.signing.content(station.reader, case.id, 1)
    assert stored.cells == first.cells
    assert stored.case.status is Status.REVIEWED
    assert station.store.signing.content(station.reader, case.id) == second
    for revision in (0, 3, -1, 10**30):
        with pytest.raises(NotFound):
            station.store.signing.content(station.reader, case.id, revision)


def test_a_case_that_is_not_signed_has_no_signed_content(station):
    with pytest.raises(NotFound, match="not signed"):
        station.store.signing.content(station.reader, station.classified().id)


def test_the_second_signature_is_another_reviewers_and_there_is_only_one(station):
    case = brought_to(station, Status.SIGNED)
    with pytest.raises(NotAllowed, match="another reviewer"):
        station.store.signing.second_sign(station.reviewer, case.id, case.version)
    case = STEPS["second"](station, case)
    with pytest.raises(NotAllowed, match="already"):
        station.store.signing.second_sign(station.administrator, case.id, case.version)


def other_class(content: SignedContent) -> SignedContent:
    cells = (content.cells[0].model_copy(update={"code": "BLAST"}), *content.cells[1:])
    return content.model_copy(update={"cells": cells})


def one_cell_less(content: SignedContent) -> SignedContent:
    return content.model_copy(update={"cells": content.cells[1:]})


def other_case(content: SignedContent) -> SignedContent:
    return content.model_copy(update={"case": content.case.model_copy(update={"id": "0" * 32})})


@pytest.mark.parametrize("forge", [other_class, one_cell_less, other_case])
def test_content_that_is_not_what_is_stored_is_not_signed(station, forge):
    case = brought_to(station, Status.REVIEWED)
    with pytest.raises(Conflict, match="differs from the stored case"):
        station.store.signing.sign(station.reviewer, case.id, case.version, forge(station.content(case)))
    assert station.store.cases.get(station.reader, case.id) == case


def test_signed_content_that_was_changed_in_the_database_is_not_shown_and_is_found(station):
    case = brought_to(station, Status.SIGNED)
    station.drop_triggers()
    station.sql("UPDATE signed_contents SET content = replace(content, 'SNE', 'BNE')")
    with pytest.raises(Damaged):
        station.store.signing.content(station.reader, case.id)
    with pytest.raises(Damaged):
        station.store.signing.second_sign(station.second_reviewer, case.id, case.version)
    check = station.store.audit.verify()
    assert not check.intact
    assert check.problem == f"the stored content of case {case.id}, revision 1, differs from the signed content."
    station.sql("DELETE FROM signatures", "DELETE FROM signed_contents")
    assert station.store.audit.verify().problem == f"the signed content of case {case.id}, revision 1, is missing."
