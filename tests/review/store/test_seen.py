"""What readers have seen: confirmed or corrected cells, undo of both, and what a signature requires."""

from __future__ import annotations

import pytest

from leukopy.review.attention import Judged, attention
from leukopy.review.case_notes import notes
from leukopy.review.records import CellComment, Confirmation, Confirmations, Status
from leukopy.review.store import Conflict, NotAllowed
from leukopy.taxonomy import BLASTS

from .conftest import MODEL, predictions


def confirm(station, user, case, *numbers: int):
    now = {cell.id: cell.version for cell in station.store.cells.all(station.administrator, case.id)}
    changes = tuple(Confirmation(cell=number, version=now[number]) for number in numbers)
    return station.store.corrections.confirm(user, case.id, Confirmations(changes=changes))


def seen(station, case) -> dict[int, str | None]:
    cells = station.store.cells.all(station.reader, case.id)
    return {cell.id: cell.seen_by for cell in sorted(cells, key=lambda cell: cell.id)}


def test_a_reader_confirms_cells_and_takes_it_back(station):
    case = station.classified(3)
    assert seen(station, case) == {1: None, 2: None, 3: None}
    done = confirm(station, station.reader, case, 1, 2)
    assert [(cell.id, cell.code, cell.seen_by) for cell in done.cells] == [(1, "SNE", "Dr ron"), (2, "LY", "Dr ron")]
    assert (done.case.corrected, done.can_undo) == (0, True)
    assert confirm(station, station.reader, case, 1).cells == ()  # seen before: nothing changes
    station.store.corrections.undo(station.reader, case.id)
    assert seen(station, case) == {1: None, 2: None, 3: None}
    station.store.corrections.redo(station.reader, case.id)
    assert seen(station, case) == {1: "Dr ron", 2: "Dr ron", 3: None}
    assert station.store.audit.verify().intact
    actions = [entry.action for entry in station.store.audit.history(station.reader, case.id)]
    assert actions[-3:] == ["cells.confirmed", "cells.undone", "cells.redone"]


def test_a_correction_is_seen_and_its_undo_is_not(station):
    case = station.classified(3)
    station.correct(station.reader, case, (1, "BNE"))
    assert seen(station, case)[1] == "Dr ron"
    station.store.corrections.undo(station.reader, case.id)
    assert seen(station, case)[1] is None
    confirm(station, station.reader, case, 1)
    station.correct(station.reader, case, (1, "BNE"))
    station.store.corrections.undo(station.reader, case.id)
    assert seen(station, case)[1] == "Dr ron"  # confirmed before it was corrected


def test_an_image_without_a_class_is_confirmed_too(station):
    case = station.draft()
    station.add(case, ["a.png", "b.png"])
    station.store.predictions.write(case.id, predictions([1, 2], flags={2: "no_cell"}), MODEL)
    assert confirm(station, station.reader, case, 2).cells[0].seen_by == "Dr ron"
    assert station.store.corrections.undo(station.reader, case.id).cells[0].seen_by is None


def test_a_confirmation_of_what_another_reader_changed_is_refused(station):
    case = station.classified(3)
    stale = Confirmations(changes=(Confirmation(cell=1, version=1),))
    station.correct(station.reviewer, case, (1, "EO"))
    with pytest.raises(Conflict) as refused:
        station.store.corrections.confirm(station.reader, case.id, stale)
    assert refused.value.current[0].seen_by == "Dr rita"


def uncertain(station, case) -> list[str]:
    cells = station.store.cells.all(station.reader, case.id)
    return [note for note in notes(station.store.cases.get(station.reader, case.id), cells, 6) if "ncertain" in note]


def test_only_a_confirmation_or_another_class_alters_the_number_of_uncertain_cells(station):
    case = station.classified(6)
    told = "Uncertain cells that keep the model’s class: {}, of which a reader confirmed {}."
    none = [told.format(6, 0)]
    assert uncertain(station, case) == none
    station.store.corrections.comment(station.reader, case.id, 1, CellComment(version=1, comment="look"))
    station.correct(station.reader, case, (2, "MO"))
    station.store.corrections.undo(station.reader, case.id)
    assert uncertain(station, case) == none
    confirm(station, station.reader, case, 1)
    assert uncertain(station, case) == [told.format(6, 1)]
    station.correct(station.reader, case, (2, "MO"))
    assert uncertain(station, case) == [told.format(5, 1)]


@pytest.mark.parametrize(
    ("before_signing", "needed"), [("nothing", []), ("unidentified", [2]), ("queue", [2, 3]), ("cells", [1, 2, 3])]
)
def test_a_case_is_reviewed_and_signed_when_enough_was_seen(station, before_signing, needed):
    station = station.with_settings(before_signing=before_signing)
    case = station.draft()
    station.add(case, ["a.png", "b.png", "c.png", "d.png"])
    flags = {1: "", 2: "unidentified", 3: "uncertain", 4: "no_cell"}
    station.store.predictions.write(case.id, predictions([1, 2, 3, 4], flags=flags), MODEL)

    def version() -> int:
        return station.store.cases.get(station.reader, case.id).version

    for left in range(len(needed), 0, -1):
        with pytest.raises(NotAllowed, match=f"{left} of {len(needed)} cells"):
            station.store.signing.mark_reviewed(station.reader, case.id, version())
        confirm(station, station.reader, case, needed[left - 1])
    reviewed = station.store.signing.mark_reviewed(station.reader, case.id, version())
    signed = station.store.signing.sign(station.reviewer, case.id, reviewed.version, station.content(case))
    assert signed.status is Status.SIGNED
    entry = next(e for e in station.store.audit.history(station.reader, case.id) if e.action == "case.signed")
    assert entry.detail["before_signing"] == before_signing
    assert (entry.detail["cells"], entry.detail["seen"]) == (3, len(needed))
    assert (entry.detail["queue"], entry.detail["queue_seen"]) == (2, len([n for n in needed if n != 1]))


def test_what_was_seen_and_undone_is_not_signed(station):
    station = station.with_settings(before_signing="cells")
    case = station.classified(2)
    confirm(station, station.reader, case, 1, 2)
    station.store.corrections.undo(station.reader, case.id)
    with pytest.raises(NotAllowed, match="2 of 2 cells"):
        station.store.signing.mark_reviewed(
            station.reader, case.id, station.store.cases.get(station.reader, case.id).version
        )


def test_the_model_of_a_case_is_read_once_for_its_queue(station, monkeypatch):
    case = station.classified(6)
    ranked: list[int] = []
    monkeypatch.setattr("leukopy.review.store.cells.attention", lambda cells: ranked.append(len(cells)) or {})
    station.correct(station.reader, case, (1, "LY"))
    confirm(station, station.reader, case, 2, 3)
    assert len(ranked) <= 1  # not once for each gesture
    station.add(case, ["new.png"])
    station.classify(case)
    station.store.cells.all(station.reader, case.id)
    assert ranked[-1] == 7


def judged(number: int, code: str, flags: str = "", granules: str | None = None, **probabilities: float) -> Judged:
    attributes = {"granularity": (granules, 0.9)} if granules else {}
    return Judged(number, code, tuple(flags.split(";")), probabilities or {code: 0.99}, attributes)


def test_the_queue_holds_cells_with_a_reason():
    usual = [judged(number, "SNE") for number in range(100, 160)]
    found = attention([
        *usual,
        judged(1, "UNIDENTIFIED", "unidentified", SNE=0.9),
        judged(2, BLASTS[0]),
        judged(3, "SNE", "uncertain", SNE=0.6, LY=0.2),
        judged(4, "SNE", LY=0.4, SNE=0.5),
        judged(5, "BNE"),
        judged(6, "SNE", granules="no"),
        judged(7, "BA"),
        judged(8, "SNE", "duplicate"),
    ])  # fmt: skip
    assert {number: one.reasons for number, one in found.items() if one.reasons} == {
        1: ("unidentified",), 2: ("critical", "rare"), 3: ("uncertain",), 4: ("close",), 5: ("stage", "rare"),
        6: ("attributes",), 7: ("rare",),
    }  # fmt: skip
    assert 8 not in found  # no count holds it
    ranks = [found[number].rank for number in (*range(1, 8), *range(100, 160))]
    assert sorted(ranks) == list(range(1, 68))
    assert max(ranks[:7]) <= 10
