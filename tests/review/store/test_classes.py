"""The classes that a reader may give."""

from __future__ import annotations

import pytest

from leukopy.review.records import ClassChoice
from leukopy.review.store import AlreadyExists, Forbidden
from leukopy.taxonomy import COARSE, DISPLAY_ORDER

OWN = ClassChoice(
    code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#112233", key="2", place="differential"
)


def test_all_classes_of_the_taxonomy_can_be_given_each_by_its_own_key(station):
    choices = station.store.classes.all()
    assert {choice.code for choice in choices} == {*DISPLAY_ORDER, *(each.code for each in COARSE)}
    keys = [choice.key for choice in choices]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert not any(choice.own for choice in choices)


def test_an_administrator_adds_a_class_and_it_is_given_back(station):
    for user in (station.reader, station.reviewer):
        with pytest.raises(Forbidden):
            station.store.classes.add(user, OWN)
    added = station.store.classes.add(station.administrator, OWN)
    assert added == OWN.model_copy(update={"own": True})
    assert added in station.store.classes.all()


@pytest.mark.parametrize("taken", [{"code": "LY"}, {"code": "NEU"}, {"code": "HAIRY"}, {"key": "l"}, {"key": "2"}])
def test_a_code_or_key_that_is_taken_is_refused(station, taken):
    station.store.classes.add(station.administrator, OWN)
    with pytest.raises(AlreadyExists):
        station.store.classes.add(station.administrator, OWN.model_copy(update={"code": "OTHER", "key": "3", **taken}))


def test_several_classes_may_have_no_key(station):
    for code in ("ONE", "TWO"):
        station.store.classes.add(station.administrator, OWN.model_copy(update={"code": code, "key": ""}))
    assert [choice.code for choice in station.store.classes.all() if choice.own] == ["ONE", "TWO"]
