"""Messages of orders: what is read in them, and what is refused, with a valid acknowledgement that says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from leukopy.review.exchange.listener import OrdersListener
from leukopy.review.records import CaseSearch
from leukopy.review.settings import Exchange, ReviewSettings
from leukopy.review.store import Store
from support.laboratory import order, segments_of, valid
from support.passwords import quick_passwords


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    found = Store.open(ReviewSettings(folder=tmp_path_factory.mktemp("station")), quick_passwords())
    found.users.single_user()
    yield found
    found.close()


@pytest.fixture
def listener(store: Store) -> Iterator[OrdersListener]:
    """Its cases are forgotten after each test."""
    found = OrdersListener(store, Exchange(orders_port=0))
    yield found
    found._socket.close()
    administrator = store.users.for_maintenance()
    store.removal.erase(
        administrator, [case.id for case in store.cases.search(administrator, CaseSearch()).cases], "request"
    )


def answer(listener: OrdersListener, message: bytes) -> list[list[str]]:
    text = listener.answer(message)
    valid(text)
    return segments_of(text)


def patients(listener: OrdersListener) -> list[str]:
    store = listener._store
    return [case.patient for case in store.cases.search(store.users.for_maintenance(), CaseSearch()).cases]


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"", "AR", "MSH"),
        (b"garbage", "AR", "MSH"),
        (b"MSH|^~\\&", "AR", "MSH"),
        (b"MSHaaaaaaaa", "AR", "MSH"),
        (order().replace(b"ORM^O01", b"ADT^A01"), "AR", "MSH-9"),
        (order().replace(b"|2.5.1|", b"|3|"), "AR", "MSH-12"),
        (order().replace(b"|P|2.5.1", b"|T|2.5.1"), "AR", "MSH-11"),
        (order().replace(b"|m-A17|", b"||"), "AE", "MSH-10"),
        (order().replace(b"UNICODE UTF-8", b"KS X 1001"), "AE", "MSH-18"),
        (order().replace("Müller".encode(), "Müller".encode("latin-1")), "AE", "character set"),
        (order().replace(b"ORC|", b"ZZZ|"), "AE", "ORC"),
        (order().replace(b"ORC|NW", b"ORC|XO"), "AE", "ORC-1"),
        (order(number=""), "AE", "ORC-2"),
        (order(pid_3=""), "AE", "PID-3"),
        (order(number="x" * 300), "AE", "number"),
        (order().replace(b"P17^", b"P\\X0D0A0B1C\\7^"), "AE", "patient"),
        (order().replace(b"|20260102", b"|20261399"), "AE", "OBR-7"),
        (order(pid_7="18000101"), "AE", "age"),
        (order(control="CA", number="never"), "AE", "no order"),
        (order() + order().partition(b"\r")[2] * 120, "AE", "more than"),
    ],
)
def test_what_is_refused_and_why(listener: OrdersListener, message: bytes, code: str, said: str) -> None:
    _, acknowledged, *error = answer(listener, message)
    assert acknowledged[1] == code
    assert said in acknowledged[3]
    assert error[0][0] == "ERR"
    assert patients(listener) == []


def test_a_latin_message_is_read_as_it_says(listener: OrdersListener) -> None:
    message = order(pid_3="Å17").decode().replace("UNICODE UTF-8", "8859/1").encode("latin-1")
    assert answer(listener, message)[1][1] == "AA"
    assert patients(listener) == ["Å17"]


def test_one_message_may_hold_several_orders(listener: OrdersListener) -> None:
    message = order("A1") + b"ORC|NW|A2\rOBR|2|A2\rPID|2||P18\rORC|NW|A3\r"
    assert answer(listener, message)[1][1] == "AA"
    assert sorted(patients(listener)) == ["P17", "P17", "P18"]


@pytest.mark.parametrize("kind", ["ORM_O01", "OML_O21"])
def test_entries_of_an_order(listener: OrdersListener, kind: str) -> None:
    assert answer(listener, order("A|1", kind=kind))[1][1] == "AA"
    store = listener._store
    (case,) = store.cases.search(store.users.for_maintenance(), CaseSearch()).cases
    assert case.order is not None
    assert (case.order.number, case.order.requester, case.priority) == ("A|1", "Weiss, Anna", "emergency")
    assert (case.slide, case.sex, str(case.specimen_date)) == ("S9", "female", "2026-01-02")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.binary(max_size=300), some.integers(0, 300), some.integers(0, 40))
def test_no_bytes_stop_it(listener: OrdersListener, noise: bytes, at: int, cut: int) -> None:
    good = order()
    code = segments_of(listener.answer(good[:at] + noise + good[at + cut :]))[1][1]
    assert code in ("AA", "AE", "AR")
