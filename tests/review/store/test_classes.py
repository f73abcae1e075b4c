"""The classes that a reader may give."""

from __future__ import annotations

import pytest

from leukopy.review.records import ClassChoice
from leukopy.review.store import AlreadyExists, Forbidden, NotAllowed
from leukopy.review.store.classes import keep_own
from leukopy.taxonomy import COARSE, DISPLAY_ORDER, CellClass, Place, declare

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


def test_a_models_own_classes_join_those_of_the_station(station):
    declare([CellClass("STORED", "stored cell", "cellule gardée", None, Place.DIFFERENTIAL, "#010203")])
    for _ in range(2):
        with station.store.database.write() as db:
            keep_own(db, {"STORED", "LY"})
    own = [choice for choice in station.store.classes.all() if choice.own]
    assert [(choice.code, choice.french, choice.key) for choice in own] == [("STORED", "cellule gardée", "")]


def test_a_models_class_is_no_other_class_of_the_station(station):
    declare([CellClass("MIXED", "mixed cell", "mixed cell", None, Place.OUTSIDE, "#010203")])
    station.store.classes.add(station.administrator, OWN.model_copy(update={"code": "MIXED", "name": "another"}))
    with (
        pytest.raises(NotAllowed, match="'mixed cell' for the model and 'another'"),
        station.store.database.write() as db,
    ):
        keep_own(db, {"MIXED"})
