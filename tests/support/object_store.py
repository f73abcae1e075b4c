"""An object store on loopback (moto) that can refuse calls as a busy one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

SECRET = "a-secret-of-the-tests"
_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class Faulty:
    """The application of a server; every n-th call is refused, or its answer is lost."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app, self._lock = app, threading.Lock()
        self.every = 0
        """0: no call is refused."""
        self.calls = self.refused = 0
        self.lose_answers = False
        """Do the work of a refused call before it is refused."""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        with self._lock:
            self.calls += 1
            refuse = bool(self.every) and self.calls % self.every == 0
            self.refused += refuse
        if not refuse:
            return self._app(environ, start)
        if self.lose_answers:
            list(self._app(environ, lambda *_: None))
        start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(_BUSY)))])
        return [_BUSY]


@pytest.fixture(scope="session")
def object_server() -> Iterator[tuple[str, Faulty]]:
    """Address of a server, and its faults."""
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'leukopy[cluster]'")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    from werkzeug.serving import make_server

    faulty = Faulty(server.DomainDispatcherApplication(server.create_backend_app))
    made = make_server("127.0.0.1", 0, faulty, threaded=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", faulty
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def bucket(object_server: tuple[str, Faulty], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """``s3://…`` of a bucket of its own; the credentials are in the environment."""
    import boto3

    from leukopy.cluster import storage

    address, faulty = object_server
    faulty.every, faulty.lose_answers = 0, False
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    storage._client.cache_clear()
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    return f"s3://{name}"
