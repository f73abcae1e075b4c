"""The socket of a station."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from queue import Queue
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import uvicorn

from leukopy.core.errors import SettingsError
from leukopy.review import serving
from leukopy.review.serving import _listen, serve
from leukopy.review.settings import ReviewSettings
from leukopy.review.store.users import UserStore


def test_an_answer_does_not_wait_for_more_to_be_sent(tmp_path):
    """asyncio switches Nagle's waiting off for sockets that say they are TCP: 40 ms of each answer."""
    with _listen(ReviewSettings(folder=tmp_path, port=0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP
        assert listening.getsockname()[1] > 0


def test_a_port_that_another_uses_is_told_before_anything_is_made(tmp_path):
    with _listen(ReviewSettings(folder=tmp_path, port=0)) as listening:
        settings = ReviewSettings(folder=tmp_path / "station", port=listening.getsockname()[1])
        with pytest.raises(SettingsError, match="another program"):
            serve(settings, print)
    assert not (tmp_path / "station").exists()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_that_is_none_is_told(tmp_path, host):
    with pytest.raises(SettingsError, match="--host"):
        serve(ReviewSettings(folder=tmp_path, host=host, port=0, serve=True), print)


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
BODY = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"
"""Halves of a request."""


@pytest.fixture
def serving_with(tmp_path, monkeypatch) -> Iterator[Callable[[tuple[str, ...]], tuple[str, int]]]:
    """Starts a station whose patience is short, with these trusted proxies; gives its address and port."""
    monkeypatch.setattr(serving, "SILENCE", 0.3)
    servers: list[uvicorn.Server] = []
    threads: list[Thread] = []
    run = uvicorn.Server.run

    def noted(server: uvicorn.Server, **given: object) -> None:
        servers.append(server)
        run(server, **given)

    monkeypatch.setattr(uvicorn.Server, "run", noted)

    def start(trusted: tuple[str, ...]) -> tuple[str, int]:
        addresses: Queue[str] = Queue()
        settings = ReviewSettings(folder=tmp_path / "station", port=0, trusted_proxies=trusted)
        threads.append(Thread(target=serve, args=(settings, addresses.put), daemon=True))
        threads[-1].start()
        address = urlsplit(addresses.get(timeout=60))
        return str(address.hostname), int(address.port or 0)

    yield start
    servers[0].should_exit = True
    threads[0].join(30)


@pytest.fixture
def served(serving_with) -> tuple[str, int]:
    """Address and port of a station without a proxy."""
    return serving_with(())


def whole_answer(connection: socket.socket) -> bytes:
    """Head and body of the answer on the station's health; they may arrive apart."""
    answer = b""
    while not answer.endswith(b'{"status":"ok"}'):
        part = connection.recv(65536)
        assert part, answer
        answer += part
    return answer


@pytest.mark.parametrize(
    ("sent", "requests"),
    [
        (b"", 0),
        (HEAD, 0),
        (HEAD, 1),
        (BODY, 0),
        (BODY, 1),
    ],
    ids=str,
)
def test_a_half_open_connection_ends(served, sent, requests):
    with socket.create_connection(served, timeout=30) as connection:
        for _ in range(requests):
            connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in whole_answer(connection)
        connection.sendall(sent)
        with suppress(ConnectionError):  # an aborted connection is one that has ended
            while connection.recv(65536):  # a timeout of 30 s fails the test
                pass


def test_many_half_open_connections_stop_nobody(served):
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(served, timeout=30))
        with urlopen(f"http://{served[0]}:{served[1]}/api/v1/health", timeout=30) as answer:
            assert answer.status == 200


def test_an_idle_connection_stays_open_for_the_next_gesture(served):
    with socket.create_connection(served, timeout=30) as connection:
        for _ in range(2):
            connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in whole_answer(connection)
            Event().wait(0.6)  # longer than the patience with half a request


def test_waiting_log_ins_leave_the_threads_of_pages_alone(served, monkeypatch):
    """60 log-ins wait for one password: pages are answered meanwhile."""
    going, free = Event(), Event()

    def wait(*_: object) -> None:
        going.set()
        assert free.wait(60)

    monkeypatch.setattr(UserStore, "check_password", wait)
    address = f"http://{served[0]}:{served[1]}"

    def sign_in(_: int) -> int:
        body = b'{"name": "ron", "password": "x"}'
        try:
            with urlopen(Request(f"{address}/api/v1/session", body, {"Content-Type": "application/json"}), timeout=90):
                return 200
        except HTTPError as refused:
            return refused.code

    with ThreadPoolExecutor(60) as pool:
        answers = pool.map(sign_in, range(60))
        try:
            assert going.wait(30)
            with urlopen(f"{address}/api/v1/health", timeout=30) as answer:
                assert answer.status == 200
        finally:
            free.set()
        assert set(answers) <= {401, 429}


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(serving_with, trusted):
    """Or a thief would claim another address for each guess."""
    host, port = serving_with(trusted)
    codes = []
    for number in range(7):
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"198.51.100.{number}"}
        body = b'{"name": "ron", "password": "a wrong guess"}'
        try:
            urlopen(Request(f"http://{host}:{port}/api/v1/session", body, headers), timeout=60)
        except HTTPError as refused:
            codes.append(refused.code)
            refused.close()
    assert codes == ([401] * 7 if trusted else [401] * 5 + [429] * 2)


def test_a_station_starts_without_the_libraries_that_only_an_analysis_or_a_report_needs():
    slow = ["alembic", "matplotlib", "scipy.ndimage", "scipy.special", "scipy.stats", "sklearn", "torch", "weasyprint"]
    code = f"import sys, leukopy.review.serving; print([name for name in {slow} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
