"""Orders open cases that wait for images: each once, whatever comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from leukopy.core.errors import InputError, SettingsError
from leukopy.review.records import CaseSearch, NewOrder, Priority, Status, VoidCase
from leukopy.review.settings import Exchange
from leukopy.review.store import AlreadyExists, NotAllowed, NotFound

ORDER = NewOrder(number="A17", patient="P1", age=61, sex="female", priority=Priority.URGENT, requester="Dr X")


def cases(station):
    return station.store.cases.search(station.administrator, CaseSearch()).cases


def test_an_order_opens_a_case_that_waits_for_images(station):
    assert station.store.orders.take([ORDER], "table") == 1
    (case,) = cases(station)
    assert (case.slide, case.patient, case.age, case.sex, case.cells) == ("A17", "P1", 61, "female", 0)
    assert (case.order.number, case.priority, case.order.requester) == ("A17", Priority.URGENT, "Dr X")
    assert case.owner == "Dr ada"
    assert station.store.cases.search(station.administrator, CaseSearch(text="a17")).total == 1
    assert station.store.audit.verify().intact


def test_the_same_order_again_changes_nothing_even_at_once(station):
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: station.store.orders.take([ORDER], "hl7"), range(8)))
    assert sum(opened) == 1
    assert len(cases(station)) == 1
    with pytest.raises(AlreadyExists):
        station.store.orders.take([ORDER.model_copy(update={"patient": "P2"})], "hl7")


def test_all_orders_of_a_message_or_none(station):
    impossible = NewOrder.model_validate(ORDER.model_dump() | {"number": "A18", "specimen_date": "2999-01-01"})
    with pytest.raises(InputError):
        station.store.orders.take([ORDER, impossible], "hl7")
    assert cases(station) == ()


def test_a_cancelled_order_is_void_as_long_as_it_holds_no_image(station):
    station.store.orders.take([ORDER], "hl7")
    for _ in range(2):
        station.store.orders.take([], "hl7", ["A17"])
    (case,) = cases(station)
    assert case.status is Status.VOID
    with pytest.raises(NotFound):
        station.store.orders.take([], "hl7", ["other"])
    station.store.orders.take([ORDER.model_copy(update={"number": "A18"})], "hl7")
    begun = next(case for case in cases(station) if case.order.number == "A18")
    station.add(begun, ["c1.png"], station.administrator)
    with pytest.raises(NotAllowed, match="holds images"):
        station.store.orders.take([], "hl7", ["A18"])


def test_the_owner_is_the_one_of_the_settings(station):
    owned = station.with_settings(exchange=Exchange(orders_owner="ron"))
    owned.store.orders.take([ORDER], "table")
    assert cases(station)[0].owner == "Dr ron"
    nobody = station.with_settings(exchange=Exchange(orders_owner="nobody"))
    with pytest.raises(SettingsError, match="orders_owner"):
        nobody.store.orders.take([ORDER.model_copy(update={"number": "A19"})], "table")


def test_an_erased_case_forgets_its_order(station):
    station.store.orders.take([ORDER], "table")
    (case,) = cases(station)
    station.store.removal.void_case(station.reviewer, case.id, VoidCase(version=case.version, reason="wrong"))
    station.store.removal.erase_patient(station.administrator, "P1")
    assert station.store.audit.verify().intact
    assert station.store.orders.take([ORDER], "table") == 1
