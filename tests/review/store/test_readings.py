"""Blind readings: nobody sees a class before it is given, and all of it is compared, settled, sealed and logged."""

from __future__ import annotations

import pytest

from leukopy.review.records import Answers, NewReading, Rule, Settlement, VoidCell
from leukopy.review.store import Forbidden, NotAllowed, NotFound

CODES = {1: "SNE", 2: "LY", 3: "MO", 4: "EO", 5: "BNE", 6: "BA"}
"""Of `Station.classified`."""


def ask(station, case, reader=None, cells=None):
    return station.store.readings.ask(
        station.reviewer, case.id, NewReading(reader=(reader or station.stranger).id, cells=cells)
    )


def read(station, reading, changed=None, reader=None):
    """Answer all cells as they are, but for those changed, and finish."""
    reader = reader or station.stranger
    _, cells, _ = station.store.readings.get(reader, reading.id)
    answers = {cell: (changed or {}).get(cell, CODES[cell]) for cell in cells}
    station.store.readings.answer(reader, reading.id, Answers(answers=answers))
    return station.store.readings.finish(reader, reading.id)


def test_a_signed_case_is_a_test_and_is_scored_against_what_was_signed(station):
    case = station.signed()
    reading = ask(station, case)
    assert (reading.kind, reading.cells, reading.agreed) == ("test", 6, None)
    done = read(station, reading, {2: "LYA", 5: "SNE"})
    assert (done.state, done.agreed, done.to_settle) == ("finished", 4, 0)
    _, cells = station.store.readings.result(station.reviewer, reading.id)
    assert cells[2] == ("LY", "LYA", None)
    told = [entry.action for entry in station.store.audit.history(station.reader, case.id)][-3:]
    assert told == ["reading.asked", "reading.answered", "reading.finished"]
    assert station.store.audit.verify().intact


def test_the_blind_reader_sees_pictures_and_nothing_else(station):
    case = station.classified()
    reading = ask(station, case)
    view, cells, answers = station.store.readings.get(station.stranger, reading.id)
    assert (view.slide, view.case_id, answers) == (None, None, {})
    assert sorted(cells) == [1, 2, 3, 4, 5, 6]
    assert station.store.readings.image(station.stranger, reading.id, 3).media_type == "image/png"
    with pytest.raises(NotFound):
        station.store.cases.get(station.stranger, case.id)
    with pytest.raises(NotFound):
        station.store.readings.image(station.stranger, reading.id, 7)
    for other in (station.reader, station.reviewer):  # nobody looks over the reader's shoulder
        with pytest.raises(NotFound):
            station.store.readings.get(other, reading.id)
        with pytest.raises(NotFound):
            station.store.readings.image(other, reading.id, 1)
    assert station.store.readings.all(station.reader) == ()
    assert [one.id for one in station.store.readings.all(station.stranger)] == [reading.id]


def test_the_order_of_the_cells_does_not_follow_the_gallery_and_some_are_drawn(station):
    case = station.classified(60)
    orders = []
    for reader in (station.stranger, station.second_reviewer):
        reading = ask(station, case, reader, cells=20)
        orders.append(station.store.readings.get(reader, reading.id)[1])
    assert [len(order) for order in orders] == [20, 20]
    assert orders[0] != orders[1]
    assert all(list(order) != sorted(order) for order in orders)


def test_who_has_worked_on_a_case_does_not_read_it_blind(station):
    case = station.classified()
    station.correct(station.reader, case, (1, "LY"))
    with pytest.raises(NotAllowed, match="Dr ron has worked on this case"):
        ask(station, case, station.reader)
    ask(station, case)
    with pytest.raises(NotAllowed, match="Dr eve reads this case already"):
        ask(station, case)
    with pytest.raises(Forbidden):
        station.store.readings.ask(station.reader, case.id, NewReading(reader=station.stranger.id))
    signed = station.signed()
    with pytest.raises(NotAllowed, match="Dr rita has worked"):
        ask(station, signed, station.reviewer)


def test_a_reading_needs_a_picture_an_answer_for_each_cell_and_stays_as_it_was_finished(station):
    with pytest.raises(NotAllowed, match="no picture"):
        ask(station, station.draft())
    case = station.classified()
    cell = station.cell(case, 6)
    station.store.removal.void_cell(station.reader, case.id, 6, VoidCell(version=cell.version, reason="smudge"))
    reading = ask(station, case)
    assert reading.cells == 5
    station.store.readings.answer(station.stranger, reading.id, Answers(answers={1: "LY"}))
    with pytest.raises(NotAllowed, match="4 cells have no answer"):
        station.store.readings.finish(station.stranger, reading.id)
    for wrong, error in (({6: "LY"}, NotFound), ({1: "NOBODYS"}, NotFound)):
        with pytest.raises(error):
            station.store.readings.answer(station.stranger, reading.id, Answers(answers=wrong))
    read(station, reading)
    with pytest.raises(NotAllowed, match="finished"):
        station.store.readings.answer(station.stranger, reading.id, Answers(answers={1: "LY"}))
    with pytest.raises(NotAllowed, match="finished"):
        station.store.readings.withdraw(station.reviewer, reading.id)
    station.correct(station.reader, case, (1, "BA"))
    assert station.store.readings.result(station.stranger, reading.id)[1][1] == ("SNE", "SNE", None)


def test_a_withdrawn_reading_may_be_asked_for_again(station):
    case = station.classified()
    reading = ask(station, case)
    with pytest.raises(Forbidden):
        station.store.readings.withdraw(station.stranger, reading.id)
    assert station.store.readings.withdraw(station.reviewer, reading.id).state == "withdrawn"
    assert ask(station, case).id != reading.id


def test_a_third_user_settles_and_the_second_reader_rule_is_met_then(station):
    rule = Rule(code="MONO", measure="MO", unit="cells", comparison="at_least", limit=1, demand="second_reader")
    station.store.rules.save(station.administrator, rule)
    case = station.classified()
    case = station.store.signing.mark_reviewed(station.reviewer, case.id, case.version)
    reading = ask(station, case)
    done = read(station, reading, {2: "LYA"})
    assert done.to_settle == 1
    settle = Settlement(cell=2, version=1, code="LYA")
    with pytest.raises(NotAllowed, match="another class"):  # the case must hold it first
        station.store.readings.settle(station.reviewer, reading.id, settle)
    with pytest.raises(Forbidden):
        station.store.readings.settle(station.stranger, reading.id, settle)
    station.correct(station.reviewer, case, (2, "LYA"))
    assert station.store.readings.settle(station.reviewer, reading.id, settle).to_settle == 0
    entry = station.store.audit.history(station.reviewer, case.id)[-1]
    assert (entry.action, entry.detail["cell"], entry.detail["code"]) == ("reading.settled", 2, "LYA")
    content = station.content(case)
    from leukopy.review.case_differential import count_case

    view = count_case(content.cells, (), content.case, station.store.settings)
    content = content.model_copy(update={"differential": view})
    case = station.store.cases.get(station.reviewer, case.id)
    case = station.store.signing.mark_reviewed(station.reviewer, case.id, case.version)
    content = content.model_copy(update={"case": station.content(case).case})
    assert [one.met for one in station.store.rules.demands(station.reviewer, case.id, content)] == [True]
    assert station.store.signing.sign(station.reviewer, case.id, case.version, content).status == "signed"
    assert station.store.audit.verify().intact


def test_forged_answers_are_found(station):
    reading = ask(station, station.signed())
    read(station, reading)
    station.sql("UPDATE readings SET answers = others")
    assert station.store.audit.verify().intact  # they were all alike
    station.sql("UPDATE readings SET state = 'open'")
    assert f"reading {reading.id} was changed past the station" in station.store.audit.verify().problem
