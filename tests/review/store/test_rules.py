"""Comment templates, coded findings, and rules of signing: kept by administrators, enforced by the store."""

from __future__ import annotations

import pytest

from leukopy.review.case_differential import count_case
from leukopy.review.records import Amendment, CaseChange, Phrase, Rule, Tally
from leukopy.review.reflex import DELIVERED, measured, reached
from leukopy.review.store import Forbidden, NotAllowed, NotFound
from leukopy.review.store import tables as t
from leukopy.review.store.phrases import delivered
from leukopy.review.store.users import SINGLE_USER

FINDING = Phrase(code="AUER_RODS", kind="finding", english="Auer rods seen", french="Corps d’Auer vus")
BLAST = DELIVERED[0].model_copy(update={"active": True})


def counted(station, *codes):
    """A count by eye: its differential is that of these classes."""
    case = station.draft()
    return station.store.eye_counts.add(station.reader, case.id, Tally(key=t.new_id(), steps=codes))


def content(station, case):
    """What would be signed, with its differential."""
    case = station.store.cases.get(station.administrator, case.id)
    cells = station.store.cells.all(station.administrator, case.id)
    view = count_case(cells, (), case, station.store.settings)
    found = {"differential": view, "findings": station.store.phrases.findings(case)}
    return station.content(case).model_copy(update=found)


def sign(station, case, reviewed_by=None, signed_by=None):
    case = station.store.cases.get(station.administrator, case.id)
    case = station.store.signing.mark_reviewed(reviewed_by or station.reader, case.id, case.version)
    return station.store.signing.sign(
        signed_by or station.reviewer, case.id, case.version, content(station, case)
    )  # fmt: skip


def test_what_is_delivered_is_in_both_languages_and_of_one_code_each():
    codes = [one.code for one in delivered()]
    assert len(codes) == len(set(codes)) > 20
    assert {one.kind for one in delivered()} == {"comment", "finding"}
    assert all(one.english != one.french for one in delivered())
    assert len({one.code for one in DELIVERED}) == len(DELIVERED)
    assert not any(one.active for one in DELIVERED)  # a laboratory decides


def test_administrators_write_phrases_anew_and_take_them_from_the_offer(station):
    store = station.store.phrases
    with pytest.raises(Forbidden):
        store.save(station.reviewer, FINDING)
    store.save(station.administrator, FINDING)
    store.save(station.administrator, Phrase(code="OURS", kind="comment", english="Call us.", french="Appelez."))
    found = {one.code: one for one in store.all()}
    assert (found["AUER_RODS"], len(found)) == (FINDING, len(delivered()) + 1)
    store.save(station.administrator, FINDING.model_copy(update={"active": False}))
    assert not {one.code: one for one in store.all()}["AUER_RODS"].active
    with pytest.raises(NotAllowed, match="AUER_RODS is a finding already"):
        store.save(station.administrator, FINDING.model_copy(update={"kind": "comment"}))
    saved = [one for one in station.store.audit.entries(station.administrator) if one.action == "phrase.saved"]
    assert [one.detail["code"] for one in saved] == ["AUER_RODS", "OURS", "AUER_RODS"]
    assert station.store.audit.verify().intact


def test_a_case_has_findings_of_the_offer_and_a_signed_one_keeps_their_words(station):
    case = counted(station, *["LY"] * 30)
    change = CaseChange(version=case.version, findings=("ROULEAUX", "AUER_RODS", "ROULEAUX"))
    case = station.store.cases.change(station.reader, case.id, change)
    assert case.findings == ("AUER_RODS", "ROULEAUX")
    assert station.store.audit.history(station.reader, case.id)[-1].detail["fields"] == ["findings"]
    for wrong in ("NOBODYS", "POOR_STAIN"):  # the second is a comment
        change = CaseChange(version=case.version, findings=(wrong,))
        with pytest.raises(NotFound, match=wrong):
            station.store.cases.change(station.reader, case.id, change)
    sign(station, case)
    station.store.phrases.save(station.administrator, FINDING.model_copy(update={"active": False}))
    signed = station.store.signing.content(station.reviewer, case.id)
    assert [one.english for one in signed.findings] == ["Auer rods", "Rouleaux of red cells"]
    case = station.store.cases.get(station.reviewer, case.id)
    case = station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason="because"))
    change = CaseChange(version=case.version, findings=("AUER_RODS",))  # it has this one, although not offered
    assert station.store.cases.change(station.reader, case.id, change).findings == ("AUER_RODS",)
    assert station.store.audit.verify().intact


@pytest.mark.parametrize(
    ("rule", "codes", "value"),
    [
        (Rule(code="A", measure="BLASTS", unit="cells", comparison="at_least", limit=2, demand="comment"),
         ["BLAST", "MYO", "LY", "LY"], 2),
        (Rule(code="A", measure="BLASTS", unit="percent", comparison="at_least", limit=25, demand="comment"),
         ["BLAST", "LY", "LY", "LY"], 25),
        (Rule(code="A", measure="NEU", unit="percent", comparison="at_most", limit=50, demand="comment"),
         ["SNE", "BNE", "LY", "LY"], 50),
        (Rule(code="A", measure="ERB", unit="percent", comparison="at_least", limit=50, demand="comment"),
         ["SNE", "LY", "ERB"], 50),
        (Rule(code="A", measure="PLT", unit="cells", comparison="at_least", limit=1, demand="comment"),
         ["SNE", "PLT"], 1),
        (Rule(code="A", measure="LY", unit="absolute", comparison="at_least", limit=5, demand="comment"),
         ["SNE", "LY"], 5),
        (Rule(code="A", measure="WBC", unit="absolute", comparison="at_least", limit=10, demand="comment"),
         ["SNE", "LY"], 10),
    ],
)  # fmt: skip
def test_a_rule_is_reached_at_its_limit_and_not_beside_it(station, rule, codes, value):
    case = station.draft(leukocytes=10.0)
    station.store.eye_counts.add(station.reader, case.id, Tally(key=t.new_id(), steps=codes))
    view = content(station, case).differential
    assert measured(rule, view) == pytest.approx(value)
    assert [found for found, _ in reached([rule], view)] == [rule]
    step = 0.5 if rule.comparison == "at_least" else -0.5
    beside = rule.model_copy(update={"limit": rule.limit + step})
    assert list(reached([beside, rule.model_copy(update={"active": False})], view)) == []


def test_a_blast_needs_a_second_reader_once_the_laboratory_says_so(station):
    sign(station, counted(station, "BLAST", "LY"), station.reviewer, station.reviewer)  # no rule yet
    with pytest.raises(Forbidden):
        station.store.rules.save(station.reviewer, BLAST)
    station.store.rules.save(station.administrator, BLAST)
    case = counted(station, "BLAST", "LY")
    with pytest.raises(NotAllowed, match="rule ANY_BLAST: another user"):
        sign(station, case, station.reviewer, station.reviewer)
    case = station.store.cases.get(station.reviewer, case.id)
    demand = station.store.rules.demands(station.reviewer, case.id, content(station, case))
    assert [(one.rule, one.value, one.met) for one in demand] == [(BLAST, 1, False)]
    signed = station.store.signing.sign(station.second_reviewer, case.id, case.version, content(station, case))
    entry = station.store.audit.history(station.reviewer, signed.id)[-1]
    assert (entry.action, entry.user, entry.detail["rules"]) == ("case.signed", "saul", ["ANY_BLAST"])
    sign(station, counted(station, "SNE", "LY"), station.reviewer, station.reviewer)  # reaches no rule
    amended = station.store.signing.amend(
        station.reviewer, signed.id, Amendment(version=signed.version, reason="because")
    )
    with pytest.raises(NotAllowed, match="another user"):
        station.store.signing.sign(station.reviewer, amended.id, amended.version, content(station, amended))
    station.store.signing.sign(station.second_reviewer, amended.id, amended.version, content(station, amended))
    assert station.store.audit.verify().intact


def test_a_comment_or_a_finding_and_seen_cells_are_demanded(station):
    comment = Rule(code="TALK", measure="LY", unit="cells", comparison="at_least", limit=1, demand="comment")
    station.store.rules.save(station.administrator, comment)
    case = counted(station, "LY")
    with pytest.raises(NotAllowed, match="rule TALK: give the case a comment"):
        sign(station, case)
    case = station.store.cases.get(station.reader, case.id)
    station.store.cases.change(station.reader, case.id, CaseChange(version=case.version, findings=("AUER_RODS",)))
    sign(station, case)
    station.store.rules.save(station.administrator, comment.model_copy(update={"active": False}))
    look = Rule(code="LOOK", measure="LY", unit="cells", comparison="at_least", limit=1, demand="all_seen")
    station.store.rules.save(station.administrator, look)
    with pytest.raises(NotAllowed, match="rule LOOK: all cells must be seen"):
        sign(station, station.classified())
    sign(station, counted(station, "LY"))  # counted by eye: each was seen


def test_a_station_for_one_user_is_not_locked_by_a_second_reader(station):
    station.store.rules.save(station.administrator, BLAST)
    alone = station.store.users.single_user()
    assert alone.name == SINGLE_USER
    sign(station, counted(station, "BLAST"), alone, alone)
