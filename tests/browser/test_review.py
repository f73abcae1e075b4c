"""A whole day of the review station in a real browser: from a zip of drawn cells to an amended report."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.settings import ReviewSettings
from leukopy.workflows.draw import DrawSettings, draw
from support.passwords import PASSWORD

CELLS = 200
OWN = "urn:x-leukopy:quantity"
CODE_CELLS = """() => Object.fromEntries([...document.querySelectorAll('.group')].map((group) => [
  group.dataset.code ?? group.dataset.group.toUpperCase(),
  Number(group.querySelector('.figure').textContent.replace(/\\D/g, ''))]))"""
NOT_COUNTED = ("UNIDENTIFIED", "NO_CELL", "SEVERAL_CELLS", "DUPLICATE")
ROWS = """() => [...document.querySelectorAll('tr[data-code]')].map(
  (row) => [row.dataset.code, [...row.cells].map((cell) => cell.innerText)])"""


@pytest.fixture(scope="module")
def drawn_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 drawn cells, and a file that is no image."""
    folder = tmp_path_factory.mktemp("drawn")
    cells = draw(DrawSettings(cells=CELLS, seed=3, size=160), folder / "slide").cells
    with ZipFile(folder / "slide-7.zip", "w") as archive:
        for path in sorted(cells.iterdir()):
            archive.write(path, path.name)
        archive.writestr("notes.png", "not an image")
    return folder / "slide-7.zip"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, station_of: Callable[..., Any]) -> Iterator[Any]:
    """With the model that ships."""
    with station_of(ReviewSettings(folder=tmp_path_factory.mktemp("station"), serve=True)) as running:
        yield running


def test_from_a_zip_to_an_amended_report(
    station: Any, sign_in: Callable[..., Any], drawn_zip: Path, tmp_path: Path
) -> None:
    page = sign_in(station, "rita")
    _open_case(page, drawn_zip)
    codes = _correct(page)
    _review_and_sign(page)
    first = _documents(page, tmp_path / "first")
    assert first["csv"] == first["html"] == first["fhir"] == first["page"]
    assert {code: numbers[0] for code, numbers in first["page"].items() if numbers[1] is not None} == {
        code: Decimal(count) for code, count in codes.items() if code not in ("PLT", *NOT_COUNTED)
    } | {code: numbers[0] for code, numbers in first["page"].items() if code in ("NEU", "IG")}
    _second_reader(station, sign_in, page.url)
    _amend(page)
    second = _documents(page, tmp_path / "second")
    assert second["csv"] == second["html"] == second["fhir"] == second["page"] != first["page"]
    _found_out(station, sign_in)


def _open_case(page: Any, archive: Path) -> None:
    """Upload through the page, see the analysis go on, and the file that was no image named."""
    page.click("#empty .new-case")
    page.set_input_files("#files", archive)
    assert page.input_value("#new-case [name=slide]") == "slide-7"
    page.fill("#new-case [name=patient]", "Martin <b>Jeanne</b>")
    page.fill("#new-case [name=leukocytes]", "7,4")
    page.click("#new-case button.main")
    page.wait_for_selector("#cases progress")
    page.wait_for_selector("#cases progress", state="detached")
    page.wait_for_selector(f"#cases:has-text('{CELLS} cells')")
    assert page.inner_text("#cases td >> nth=0") == "Martin <b>Jeanne</b>"
    page.click("#refused summary")
    assert "notes.png" in page.inner_text("#refused-list")


def _correct(page: Any) -> Counter[str]:
    """Ten by drag, ten by keyboard, two undone; the count follows each. Returns the cells by class."""
    page.click("#cases a")
    page.wait_for_selector(".tile")
    counts = Counter(page.evaluate(CODE_CELLS))
    assert sum(counts.values()) == CELLS
    lymphocyte, monocytes = page.locator(".group[data-code=LY] .tile").first, page.locator(".class[data-code=MO]")
    page.locator(".group[data-code=LY]").scroll_into_view_if_needed()  # tiles far from the screen are not in the page
    for _ in range(10):
        _said(page, lambda: lymphocyte.drag_to(monocytes))
    counts.update({"LY": -10, "MO": 10})
    _shows(page, counts)
    page.locator(".group[data-code=SNE]").scroll_into_view_if_needed()
    page.locator(".group[data-code=SNE] .tile").first.click()
    for _ in range(10):  # the next cell of the class is chosen each time
        _said(page, lambda: page.keyboard.press("b"))
    counts.update({"SNE": -10, "BNE": 10})
    _shows(page, counts)
    for _ in range(2):
        _said(page, lambda: page.keyboard.press("Control+z"))
    counts.update({"SNE": 2, "BNE": -2})
    _shows(page, counts)
    assert page.inner_text("#corrected") == "18 cells corrected"
    return counts


def _said(page: Any, gesture: Callable[[], Any]) -> None:
    """Make a gesture and wait until the station has answered it."""
    with page.expect_response(re.compile("/(corrections|undo)$")) as answer:
        gesture()
    assert answer.value.status == 200
    page.wait_for_selector("#said.shown")


def _shows(page: Any, counts: Counter[str]) -> None:
    """Gallery, class bar and differential agree on the cells by class."""
    for code, count in counts.items():
        page.wait_for_selector(f"#count [data-line={code}] td:nth-child(2):text-is('{count}')")
        if code not in NOT_COUNTED:
            assert page.inner_text(f".class[data-code={code}] .figure") == (str(count) if count else "")
    assert page.evaluate(CODE_CELLS) == {code: count for code, count in counts.items() if count}


def _review_and_sign(page: Any) -> None:
    page.click("#view-queue")
    page.locator("[data-group=look] .tile").first.click()
    while not page.evaluate("document.activeElement.id === 'to-sign'"):
        with page.expect_response("**/confirmations"):  # those on the screen
            page.keyboard.press("Control+a")
            page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("#reviewed:visible")
    page.click("#reviewed")
    page.wait_for_selector("#status .reviewed")
    _sign(page, "sign")
    page.wait_for_selector("#status .signed")


def _sign(page: Any, step: str) -> None:
    page.click(f"#{step}")
    if page.query_selector("#confirm [name=password]"):
        page.fill("#confirm [name=password]", PASSWORD)
    page.click("#confirm button.main")


Numbers = dict[str, tuple[Decimal | None, ...]]
"""By class code: count, share, limits, absolute count; None where there is none."""


def _documents(page: Any, folder: Path) -> dict[str, Numbers]:
    """Download all four; the numbers of the page and of those that machines read. The PDF is compared here."""
    folder.mkdir()
    page.wait_for_load_state("networkidle")
    paths = {}
    for name in ("html", "pdf", "fhir", "csv"):
        with page.expect_download() as download:
            page.click(f"#download-{name}")
        paths[name] = folder / download.value.suggested_filename
        download.value.save_as(paths[name])
    found = {
        "page": _from_page(page),
        "html": _from_html(page, paths["html"]),
        "csv": _from_csv(paths["csv"].read_text(encoding="utf-8")),
        "fhir": _from_fhir(paths["fhir"].read_text(encoding="utf-8")),
    }
    _compare_pdf(paths["pdf"], found["csv"])
    return found


def _numbers(*texts: str) -> tuple[Decimal | None, ...]:
    cleaned = (re.sub(r"[^0-9.]", "", text) for text in texts)
    return tuple(Decimal(text) if text else None for text in cleaned)


def _limits(text: str) -> tuple[str, str]:
    """Those of sampling; the cell may hold more below them."""
    found = re.match(r"\s*([0-9.]+) – ([0-9.]+)", text)
    return (found[1], found[2]) if found else ("", "")


def _from_page(page: Any) -> Numbers:
    """What the page shows where the case is signed."""
    found = {}
    for row in page.locator("#count tr[data-line]").all():
        code, cells = row.get_attribute("data-line"), [cell.inner_text() for cell in row.locator("td").all()]
        if code != "WBC":
            found[code] = _numbers(cells[0], cells[1], *_limits(cells[2]), cells[6] if len(cells) > 6 else "")
    return found


def _from_html(page: Any, path: Path) -> Numbers:
    """What the report says, as the browser reads it; its absolute counts beside the 100 % are none of the page's."""
    report = page.context.new_page()
    report.goto(path.as_uri())
    assert "Research use only" in report.inner_text("body")
    rows = report.evaluate(ROWS)
    report.close()
    return {
        code: _numbers(cells[1], cells[2], *_limits(cells[3]), cells[7] if len(cells) > 7 else "")
        for code, cells in rows
    }


def _from_csv(text: str) -> Numbers:
    return {
        row["code"]: _numbers(
            row["count"], row["value"], row["low95"], row["high95"],
            row["absolute_10e9_per_l"] if row["kind"] == "differential" else "",
        )
        for row in csv.DictReader(text.splitlines(keepends=True))
        if row["kind"] in ("differential", "per_100_leukocytes", "count", "not_counted")
    }  # fmt: skip


def _from_fhir(text: str) -> Numbers:
    found: Numbers = {}
    absolute: dict[str, Decimal] = {}
    for entry in json.loads(text, parse_float=Decimal, parse_int=Decimal)["entry"]:
        one = entry["resource"]
        if one["resourceType"] != "Observation":
            continue
        (code,) = (coding["code"] for coding in one["code"]["coding"] if coding["system"] == OWN)
        name, _, quantity = code.partition(".")
        value = one.get("valueQuantity", {}).get("value")
        if quantity == "absolute":
            absolute[name] = value
        parts = {part["code"]["coding"][0]["code"]: part["valueQuantity"]["value"] for part in one.get("component", ())}
        if "count" in parts:
            share = None if quantity == "count" else value
            found[name] = (parts["count"], share, parts.get("low95"), parts.get("high95"))
    beside = ("ERB", "SMUDGE", "GIANT_PLT")
    return {code: (*values, None if code in beside else absolute.get(code)) for code, values in found.items()}


def _compare_pdf(path: Path, numbers: Numbers) -> None:
    """Every count, share and limit stands in the PDF, in its line."""
    assert path.read_bytes().startswith(b"%PDF-")
    if shutil.which("pdftotext") is None:
        return  # its numbers are compared in tests/review/documents where poppler-utils are installed
    ran = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    lines = [re.sub(r"\s+", " ", line) for line in ran.stdout.decode().splitlines()]
    sums = {"NEU": "SNE + BNE", "IG": "MMY + MY + PMY"}
    for code, (count, share, low, high, _) in numbers.items():
        plain = "not counted" if code in NOT_COUNTED else "only counted"
        wanted = f"{sums.get(code, code)} {count} " + (plain if share is None else f"{share} {low} – {high}")
        assert any(wanted in line for line in lines), wanted


def _second_reader(station: Any, sign_in: Callable[..., Any], address: str) -> None:
    """The first signer cannot sign twice; another reviewer can."""
    page = sign_in(station, "ada")
    page.goto(address)
    page.wait_for_selector("#second:visible")
    _sign(page, "second")
    page.wait_for_selector("#signatures li >> nth=1")
    assert "Ada Weiss" in page.inner_text("#signatures")


def _amend(page: Any) -> None:
    """Open again with a reason, correct one cell, sign the next revision."""
    page.reload()
    page.wait_for_selector("#amend:visible")
    assert page.is_hidden("#second")
    gallery = page.url.removesuffix("/sign")
    page.goto(gallery)
    page.locator(".group[data-code=MO]").scroll_into_view_if_needed()
    page.locator(".group[data-code=MO] .tile").first.click()
    page.keyboard.press("l")  # signed: nothing changes
    page.wait_for_selector("#wrong.shown")
    page.goto(f"{gallery}/sign")
    page.click("#amend")
    page.fill("#amend-dialog [name=reason]", "One monocyte is a lymphocyte.")
    page.click("#amend-dialog button.main")
    page.wait_for_selector("#status .amending")
    page.goto(gallery)
    page.locator(".group[data-code=MO]").scroll_into_view_if_needed()
    page.locator(".group[data-code=MO] .tile").first.click()
    _said(page, lambda: page.keyboard.press("l"))
    page.goto(f"{gallery}/sign")
    page.wait_for_selector("#sign:visible")
    _sign(page, "sign")
    page.wait_for_selector("#status .amended")
    assert "One monocyte is a lymphocyte." in page.inner_text("#amending")
    assert page.locator("#signatures li").count() == 3


def _found_out(station: Any, sign_in: Callable[..., Any]) -> None:
    """The log verifies; a row that is changed behind the station's back is found and named."""
    page = sign_in(station, "ada")
    page.click("text=Administration")
    page.wait_for_selector("#entries tr")
    page.click("#verify")
    page.wait_for_selector("#verified.intact")
    number = _tamper(station.folder / "review.sqlite")
    page.click("#verify")
    page.wait_for_selector("#verified.broken")
    assert str(number) in page.inner_text("#verified")


def _tamper(database: Path) -> int:
    """Change who signed, as somebody would who has the file; returns the number of the entry."""
    with sqlite3.connect(database) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        (number,) = connection.execute("SELECT number FROM audit WHERE action = 'case.signed'").fetchone()
        connection.execute("UPDATE audit SET action = 'case.reviewed' WHERE number = ?", (number,))
    connection.close()
    return int(number)
