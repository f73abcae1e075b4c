"""Every example is run as it stands, in an empty folder, with the models that ship."""

from __future__ import annotations

import json
import runpy
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import notebooks
from support.files import REPOSITORY

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
SAYS = {
    "own_cells": ["monday", "tuesday", "NEU"],
    "phone_fields": ["leukocytes are counted", "red_cell"],
    "cohort": ["10 slides, complete: True", "P10", "uncertain"],
    "adapt_model": ["Balanced accuracy", "after"],
    "custom_backbone": ["coarse"],
}
"""What each prints; `send_fhir` has a test of its own."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(REPOSITORY / "examples" / f"{name}.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert [words for words in SAYS[name] if words not in said] == [], said


def test_all_examples_are_tested() -> None:
    assert {path.stem for path in EXAMPLES} == {*SAYS, "send_fhir"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_is_its_script(path: Path) -> None:
    written = path.with_suffix(".ipynb").read_text("utf-8")
    assert written == notebooks.notebook(path.read_text("utf-8")), "run `make notebooks`"
    cells = json.loads(written)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "Research use only" in "".join(cells[0]["source"])
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    compile(code, path.name, "exec")


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes bundles, and what it took."""
    taken: list[dict[str, Any]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/r4/Bundle"
            assert self.headers["Content-Type"] == "application/fhir+json"
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Location", f"/r4/Bundle/{len(taken)}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Taking) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/r4", taken
        listening.shutdown()
        thread.join()


def bundle(status: str) -> str:
    return json.dumps(
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "DiagnosticReport", "status": status}}]}
    )


def test_a_signed_count_reaches_the_server(server: Any, tmp_path: Path) -> None:
    example: dict[str, Callable[..., Any]] = runpy.run_path(str(REPOSITORY / "examples" / "send_fhir.py"))
    address, taken = server
    path = tmp_path / "report.fhir.json"
    path.write_text(bundle("final"))
    assert example["send"](example["read_signed"](path), address) == "/r4/Bundle/1"
    assert taken == [json.loads(bundle("final"))]


def test_a_preliminary_count_is_not_sent(tmp_path: Path) -> None:
    example = runpy.run_path(str(REPOSITORY / "examples" / "send_fhir.py"))
    path = tmp_path / "report.fhir.json"
    path.write_text(bundle("preliminary"))
    with pytest.raises(SystemExit, match="is not signed"):
        example["read_signed"](path)
