"""A running station beside the systems of a hospital: orders over MLLP, results as HL7 and FHIR, hostile callers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from leukopy.core.errors import SettingsError
from leukopy.review.app import create_app
from leukopy.review.exchange import listener
from leukopy.review.settings import Exchange, ReviewSettings
from support.laboratory import FhirServer, MllpReceiver, call, closing_all, order, segments_of, valid
from support.waiting import until


@pytest.fixture
def hospital() -> Iterator[tuple[MllpReceiver, FhirServer]]:
    receiver, server = MllpReceiver(), FhirServer()
    with closing_all(receiver, server):
        yield receiver, server


@pytest.fixture
def station(
    running: Callable[[ReviewSettings], AbstractContextManager[Any]], tmp_path: Path, colour_model: Any,
    hospital: tuple[MllpReceiver, FhirServer],
) -> Iterator[Any]:  # fmt: skip
    exchange = Exchange(hl7_results=hospital[0].address, fhir_server=hospital[1].address, orders_port=0)
    settings = ReviewSettings(
        folder=tmp_path / "station", model=str(colour_model.path), before_signing="nothing", laboratory="CHU",
        exchange=exchange,
    )  # fmt: skip
    with running(settings) as found:
        yield found


@pytest.fixture
def user(station: Any) -> Any:
    browser = station.browser()
    browser.http.get("/", params={"token": station.app.state.station.token.value})
    browser.csrf = browser.get("/me").json()["csrf"]
    return browser


def port(station: Any) -> int:
    return int(station.app.state.station.exchange.state.orders_port)


def cases(user: Any) -> list[dict[str, Any]]:
    return list(user.post("/cases/search", json={}).json()["cases"])


def step(user: Any, case: str, name: str, **more: str) -> None:
    version = user.get(f"/cases/{case}").json()["version"]
    answer = user.post(f"/cases/{case}/{name}", json={"version": version, **more})
    assert answer.status_code == 200, answer.text


def delivered(user: Any, case: str, count: int) -> list[dict[str, Any]]:
    def sent() -> Any:
        found = [one for one in user.get(f"/cases/{case}/deliveries").json() if one["state"] == "sent"]
        return len(found) >= count and found

    return list(until(sent))


def test_from_the_order_to_the_withdrawal(
    user: Any, station: Any, hospital: tuple[MllpReceiver, FhirServer], pictures: Any
) -> None:
    receiver, server = hospital
    ((head, acknowledged, *_),) = call(port(station), order(kind="OML_O21"))
    assert (head[8], acknowledged[1:3]) == ("ACK^O21^ACK", ["AA", "m-A17"])
    (case,) = cases(user)
    assert (case["slide"], case["patient"], case["sex"], case["cells"]) == ("S9", "P17", "female", 0)
    assert 60 < case["age"] < 120
    assert case["specimen_date"] == "2026-01-02"
    assert (case["order"]["number"], case["priority"]) == ("A17", "emergency")
    assert case["order"]["requester"] == "Weiss, Anna"
    number = case["id"]
    user.upload(number, *pictures(12))
    assert user.analyse(number)["state"] == "finished"
    step(user, number, "reviewed")
    assert receiver.messages == {}
    step(user, number, "sign")
    delivered(user, number, 2)
    (message,) = receiver.messages.values()
    valid(message)
    request = next(fields for fields in segments_of(message) if fields[0] == "OBR")
    assert (request[2], request[25]) == ("A17", "F")
    assert [one["status"] for one in server.of("DiagnosticReport")] == ["final"]

    step(user, number, "amend", reason="Counted twice")
    step(user, number, "sign")
    delivered(user, number, 4)
    requests = [fields for text in receiver.messages.values() for fields in segments_of(text) if fields[0] == "OBR"]
    assert [fields[25] for fields in requests] == ["F", "C"]
    assert [one["status"] for one in server.of("DiagnosticReport")] == ["amended"]

    step(user, number, "void", reason="Wrong tube")
    found = delivered(user, number, 6)
    assert {one["kind"] for one in found} == {"result", "correction", "withdrawal"}
    assert [one["status"] for one in server.of("DiagnosticReport")] == ["entered-in-error"]
    assert list(receiver.messages.values())[-1].count("|W|") > 5
    assert len(set(receiver.arrivals)) == 3
    state = user.get("/exchange").json()
    assert set(state["routes"]) == {"hl7", "fhir"}
    assert user.get("/deliveries").json()["waiting"] == 0
    history = [entry["action"] for entry in user.get(f"/cases/{number}/history").json()]
    assert history.count("result.sent") == 6
    assert user.get("/audit/verify").json()["intact"]
    assert user.get(f"/cases/{number}/report.xlsx").content.startswith(b"PK")


def test_the_same_order_twice_and_another_of_its_number(user: Any, station: Any) -> None:
    first, again, other = call(port(station), order(), order(), order(pid_3="P18^^^H^MR"))
    assert [answer[1][1] for answer in (first, again, other)] == ["AA", "AA", "AE"]
    assert "other values" in other[1][3]
    assert other[2][0] == "ERR"
    assert len(cases(user)) == 1
    (cancelled,) = call(port(station), order(control="CA"))
    assert cancelled[1][1] == "AA"
    assert cases(user)[0]["status"] == "void"


def test_callers_that_say_nothing_half_or_too_much_stop_nobody(
    user: Any, station: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENCE", 0.5)
    with ExitStack() as held:
        for number in range(150):
            caller = held.enter_context(socket.create_connection(("127.0.0.1", port(station)), timeout=60))
            caller.sendall((b"", b"\x0bMSH|^~\\&|half", b"no frame at all")[number % 3])
        noisy = held.enter_context(socket.create_connection(("127.0.0.1", port(station)), timeout=60))
        noisy.sendall(b"y" * 5000)
        while noisy.recv(4096):
            pass  # refused, then ended
        assert call(port(station), order())[0][1][1] == "AA"
        half = held.enter_context(socket.create_connection(("127.0.0.1", port(station)), timeout=60))
        half.sendall(b"\x0bMSH|^~\\&|half")
        assert half.recv(1) == b"", "who stays silent in a message is cut off"
    assert len(cases(user)) == 1


def test_only_named_senders_may_order(running: Any, tmp_path: Path, colour_model: Any) -> None:
    exchange = Exchange(orders_port=0, orders_senders=("10.0.0.0/8",))
    settings = ReviewSettings(folder=tmp_path / "station", model=str(colour_model.path), exchange=exchange)
    with running(settings) as found, pytest.raises((ConnectionError, OSError)):
        call(port(found), order())


def test_a_port_that_is_taken_is_an_error_of_one_line(tmp_path: Path, colour_model: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        exchange = Exchange(orders_port=taken.getsockname()[1])
        with pytest.raises(SettingsError, match="orders_port"):
            create_app(ReviewSettings(folder=tmp_path / "s", model=str(colour_model.path), exchange=exchange))


def test_failures_are_shown_and_tried_again(
    user: Any, station: Any, hospital: tuple[MllpReceiver, FhirServer], pictures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, server = hospital
    monkeypatch.setattr("leukopy.review.store.outbox.FIRST_PAUSE", __import__("datetime").timedelta(seconds=0.01))
    codes = iter([None, "AR"])
    receiver.answer = lambda _: next(codes, "AA")
    statuses = iter([0, 503, 400])
    server.status = lambda: next(statuses, 200)
    case = user.new_case(patient="Maria Muster")
    user.upload(case, *pictures(12))
    user.analyse(case)
    step(user, case, "reviewed")
    step(user, case, "sign")

    def refused() -> Any:
        found = {one["route"]: one for one in user.get(f"/cases/{case}/deliveries").json()}
        return found["hl7"]["state"] == "sent" and found["fhir"]["state"] == "refused" and found

    found = until(refused)
    assert (found["hl7"]["attempts"], found["fhir"]["attempts"]) == (3, 3)
    assert found["fhir"]["answer"] == "400 as told"
    assert receiver.arrivals == [found["hl7"]["id"]] * 3
    assert len(receiver.messages) == 1
    assert len(server.of("DiagnosticReport")) == 1, "the first request was done, though nobody heard of it"
    assert {headers["X-Request-ID"] for headers, _ in server.requests} == {found["fhir"]["id"]}
    answer = user.post(f"/cases/{case}/deliveries", json={"route": "fhir"})
    assert answer.status_code == 201
    delivered(user, case, 2)
    assert len(server.of("DiagnosticReport")) == 1
    assert user.post(f"/cases/{case}/deliveries", json={"route": "pigeon"}).status_code == 422
