"""Two slides of one patient: found, compared and merged without a change of either."""

from __future__ import annotations

from math import comb

import pytest

from leukopy.review.case_differential import count_case
from leukopy.review.comparison import compare
from leukopy.review.records import MergeWith, Tally, VoidCell
from leukopy.review.store import Damaged, NotAllowed, NotFound
from leukopy.review.store import tables as t


def eye(station, slide, *codes, patient="Kim"):
    case = station.draft(slide=slide, patient=patient)
    return station.store.eye_counts.add(station.reader, case.id, Tally(key=t.new_id(), steps=codes))


def merge(station, first, second, user=None):
    return station.store.merging.merge(user or station.reader, first.id, MergeWith(other=second.id, slide="both"))


def compared(station, *cases):
    store = station.store
    views = [count_case(store.cells.all(station.reader, case.id), (), case, store.settings) for case in cases]
    found = compare(cases, (views[0], views[1]))
    return {line.code: line for line in found.lines}


def literal_fisher(first, second, total):
    """Two-sided p: the chance of all tables with the same margins that are no likelier than the one found."""
    both = first + second
    ways = [comb(total, one) * comb(total, both - one) for one in range(max(0, both - total), min(both, total) + 1)]
    found = comb(total, first) * comb(total, second)
    return sum(way for way in ways if way <= found) / comb(2 * total, both)


def test_other_slides_of_a_patient_are_found_among_those_that_the_user_may_see(station):
    first, second = eye(station, "a", "LY"), eye(station, "b", "LY")
    eye(station, "c", "LY", patient="Abel")
    station.draft(station.stranger, slide="d", patient="Kim")
    assert [case.slide for case in station.store.merging.siblings(station.reader, first.id)] == ["b"]
    assert [case.slide for case in station.store.merging.siblings(station.reviewer, second.id)] == ["a", "d"]
    nameless = station.draft(slide="e")
    station.draft(slide="f")
    assert station.store.merging.siblings(station.reader, nameless.id) == ()


def test_a_class_differs_only_if_its_share_does_beyond_sampling(station):
    first = eye(station, "a", *["SNE"] * 60, *["LY"] * 38, "EO", "EO")
    second = eye(station, "b", *["SNE"] * 20, *["LY"] * 79, "EO")
    lines = compared(station, first, second)
    assert lines["LY"].counts == (38, 79)
    assert lines["LY"].p == pytest.approx(literal_fisher(38, 79, 100))
    assert (lines["LY"].differs, lines["SNE"].differs, lines["EO"].differs) == (True, True, False)
    assert lines["EO"].p == pytest.approx(1.0)
    assert lines["LY"].pooled == pytest.approx(58.5)
    assert lines["NEU"].p is None  # a sum of others
    assert not any(line.differs for line in compared(station, first, first).values())


def test_merging_opens_a_new_case_with_all_cells_and_leaves_both_as_they_are(station):
    first = station.classified(slide="a", patient="Kim", age=50.0)
    station.correct(station.reader, first, (1, "BLAST"))
    cell = station.cell(first, 2)
    station.store.removal.void_cell(station.reader, first.id, 2, VoidCell(version=cell.version, reason="smudge"))
    second = station.draft(slide="b", patient="Kim")
    station.add(second, ["c1.png", "x.png"])  # the first picture is one of the other slide
    station.classify(second)
    before = [station.store.cases.get(station.reader, case.id) for case in (first, second)]
    merged = merge(station, first, second)
    assert (merged.slide, merged.patient, merged.age, merged.cells, merged.blasts) == ("both", "Kim", 50.0, 8, 1)
    cells = {one.id: one for one in station.store.cells.all(station.reader, merged.id)}
    assert (cells[1].code, cells[1].seen_by, cells[2].not_counted, cells[7].not_counted) == (
        "BLAST", "Dr ron", "void", "duplicate",
    )  # fmt: skip
    assert [station.store.cases.get(station.reader, case.id) for case in (first, second)] == before
    entry = station.store.audit.history(station.reader, merged.id)[-1]
    assert (entry.action, entry.detail["sources"]) == ("case.merged", [first.id, second.id])
    station.store.signing.mark_reviewed(station.reader, merged.id, merged.version)
    assert station.store.audit.verify().intact


def test_counts_by_eye_are_merged_and_signed_as_one(station):
    merged = merge(station, eye(station, "a", *["LY"] * 60), eye(station, "b", *["SNE"] * 40))
    assert (merged.cells, merged.model) == (100, None)
    assert station.store.eye_counts.counts(station.reader, merged.id)[0] == {"LY": 60, "SNE": 40}


def test_what_is_not_of_one_patient_or_one_model_is_not_merged(station):
    one = eye(station, "a", "LY")
    with pytest.raises(NotAllowed, match="not of one patient"):
        merge(station, one, eye(station, "b", "LY", patient="Abel"))
    with pytest.raises(NotAllowed, match="not compared with itself"):
        merge(station, one, one)
    with pytest.raises(NotAllowed, match="different models"):
        merge(station, one, station.classified(patient="Kim"))
    with pytest.raises(NotAllowed, match="must hold cells"):
        merge(station, one, station.draft(patient="Kim"))
    with pytest.raises(NotFound):
        merge(station, one, station.draft(station.stranger, patient="Kim"))
    other = eye(station, "c", "LY")
    station.sql(f"UPDATE cases SET age = 3 WHERE id = '{other.id}'")
    with pytest.raises(Damaged):
        merge(station, one, other)
