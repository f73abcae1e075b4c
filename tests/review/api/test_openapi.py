"""Whatever is sent to any route, the station does not fail, and answers as its OpenAPI says."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import httpx
import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # now, since below a browser's greenlets Python 3.11 fails to compile it
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from leukopy.review.app import create_app
from leukopy.review.settings import ReviewSettings
from support.waiting import until

API = "/api/v1"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8
"""Of each route."""


@pytest.fixture(scope="module")
def browser(colour_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of the one user of a station that is served as always."""
    settings = ReviewSettings(folder=tmp_path_factory.mktemp("station"), model=str(colour_model.path))
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=None) as client:
        client.get("/", params={"token": app.state.station.token.value})
        client.headers["X-CSRF-Token"] = client.get(f"{API}/me").json()["csrf"]
        yield client
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def filled(browser: httpx.Client, colour_model: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A case with three cells."""
    folder = tmp_path_factory.mktemp("drawn")
    case = str(browser.post(f"{API}/cases", json={"slide": "S1", "age": 60, "lymphocytes": 8}).json()["id"])
    pictures = [colour_model.draw(folder / f"{code}.png", code) for code in ("LY", "SNE", "MO")]
    files = [("files", (path.name, path.read_bytes())) for path in pictures]
    assert browser.post(f"{API}/cases/{case}/images", files=files).json()["added"] == 3
    browser.post(f"{API}/cases/{case}/analysis")
    until(lambda: browser.get(f"{API}/cases/{case}/analysis").json()["state"] == "finished")
    return case


def plain_tuples(described: Any) -> Any:
    """Tuples as arrays of any of their kinds: schemathesis 4.32 rewrites `prefixItems` to what it then refuses."""
    if isinstance(described, list):
        return [plain_tuples(each) for each in described]
    if not isinstance(described, dict):
        return described
    described = {name: plain_tuples(each) for name, each in described.items()}
    if "prefixItems" in described:
        described["items"] = {"anyOf": described.pop("prefixItems")}
    return described


@pytest.fixture(scope="module")
def api(browser: httpx.Client, filled: str) -> Any:
    """The routes as described; most requests for a case are about one that exists."""
    described = browser.get(f"{API}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(plain_tuples(described))
    schema.config.update(base_url=str(browser.base_url))

    @schema.hook
    def map_path_parameters(_: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        if parameters and str(parameters.get("case_id", ""))[-1:] > "3":
            parameters["case_id"] = filled
            if isinstance(parameters.get("cell"), int):
                parameters["cell"] = 1 + parameters["cell"] % 4
        return parameters

    return schema


@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=strategies.data())
def send(data: strategies.DataObject, operation: Any, browser: httpx.Client) -> None:
    case = data.draw(operation.as_strategy(), label=operation.label)
    case.call_and_validate(
        headers={"X-CSRF-Token": browser.headers["X-CSRF-Token"]}, cookies=dict(browser.cookies), checks=CHECKS
    )


@pytest.mark.slow
def test_no_request_makes_it_fail(api: Any, browser: httpx.Client) -> None:
    """Signing in and out is tried elsewhere: here it would end the session, and be refused after five attempts.

    The events of the work list last for minutes.
    """
    others = api.exclude(path=[f"{API}/session", f"{API}/worklist/events"])
    operations = [found.ok() for found in others.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:
        send(operation=operation, browser=browser)
