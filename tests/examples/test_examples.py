"""Every example is run as it stands, in an empty folder, with the models that ship."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import notebooks
from support.files import REPOSITORY
from support.newcomer import signed_station
from support.waiting import HANGS

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


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    """Cell by cell, in a kernel of its own."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs notebooks (extra 'dev')")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(REPOSITORY / "examples" / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    assert [words for words in SAYS.get(name, []) if words not in said] == [], said


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a FHIR server that takes valid bundles and gives them back."""
    pytest.importorskip("fhir.resources", reason="bundles are checked by fhir.resources (extra 'app')")
    from fhir.resources.R4B.bundle import Bundle

    taken: list[bytes] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/r4/Bundle" or self.headers["Content-Type"] != "application/fhir+json":
                self.send_error(404)
                return
            try:
                Bundle.model_validate_json(content)
            except ValueError:
                self.send_error(422)
                return
            taken.append(content)
            self.send_response(201)
            self.send_header("Location", f"{address}/Bundle/{len(taken)}")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(taken[int(self.path.removeprefix("/r4/Bundle/")) - 1])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as listening:
        address = f"http://127.0.0.1:{listening.server_port}/r4"
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        yield address
        listening.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_signed_count_reaches_the_server(server: str, tmp_path: Path) -> None:
    """As a station writes it; the script is run as it says itself."""
    from leukopy.review.documents import fhir_bundle

    with signed_station(tmp_path, slides=1) as (store, user, (case,)):
        text = fhir_bundle(store.signing.content(user, case.id, None), signatures=case.signatures)
    (tmp_path / "report.fhir.json").write_text(text, "utf-8")
    command = [sys.executable, REPOSITORY / "examples" / "send_fhir.py", "report.fhir.json", server]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with urllib.request.urlopen(done.stdout.strip(), timeout=HANGS) as answer:
        assert json.load(answer) == json.loads(text)


def test_a_preliminary_count_is_not_sent(tmp_path: Path) -> None:
    example = runpy.run_path(str(REPOSITORY / "examples" / "send_fhir.py"))
    path = tmp_path / "report.fhir.json"
    report = {"resourceType": "DiagnosticReport", "status": "preliminary"}
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": report}]}))
    with pytest.raises(SystemExit, match="is not signed"):
        example["read_signed"](path)
