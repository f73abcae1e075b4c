"""What readers stumbled over: cut headings, a TIFF that is not shown, a search that Back forgets, a log of one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import Amendment, CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from support.passwords import PASSWORD
from support.predicted import predictions
from support.waiting import until

CODES = ("SNE",) * 60 + ("LY",) * 20 + ("MMY", "BNE", "MO", "EO", "BA", "ERB", "SMUDGE", "PLT", "NEU", "BLAST")
MODEL = ModelFacts("colours", "c" * 64)
CUT = """() => [...document.querySelectorAll('th, td, h1, h2, h3, button, .button, label, .scroll')]
  .filter((e) => e.checkVisibility() && !e.closest('.sr') && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.tagName} ${e.innerText.slice(0, 40)}: ${e.scrollWidth} in ${e.clientWidth}`)"""


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """With a case of TIFFs, classified in three parts, and two empty ones."""
    settings = ReviewSettings(
        folder=tmp_path_factory.mktemp("station"), serve=True, model=str(colour_model.path), before_signing="nothing"
    )
    with station_of(settings) as running:
        store = running.store
        ada = store.users.check_password("ada", PASSWORD)
        case = store.cases.open(
            ada, CaseDraft(slide="2026-0417", patient="Muster", leukocytes=7.5, age=47, lymphocytes=3.0)
        )
        for slide in ("2026-0418", "2026-0419"):
            store.cases.open(ada, CaseDraft(slide=slide, patient="Other"))
        images = [NewImage(f"c{n}.tif", tiff(n), 64, 64, "image/tiff") for n in range(len(CODES))]
        store.cells.add_images(ada, case.id, images)
        rows = predictions(CODES)
        for first in range(0, len(CODES), 30):
            store.predictions.write(case.id, replace(rows, cells=rows.cells[first : first + 30]), MODEL)
        yield running


def tiff(number: int) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (64, 64), (2 * number, 100, 150)).save(stream, "TIFF")
    return stream.getvalue()


def case_address(page: Any, station: Any) -> str:
    return station.address + str(page.locator("#cases a", has_text="2026-0417").get_attribute("href"))


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("width", [1280, 820])
def test_no_heading_and_no_column_is_cut(station: Any, sign_in: Callable[..., Any], locale: str, width: int) -> None:
    page = sign_in(station, "ada", locale=locale, viewport={"width": width, "height": 1100})
    gallery = case_address(page, station)
    page.goto(gallery)
    page.wait_for_selector("#count tr", state="attached")
    if width < 1000:
        page.click("#show-panel")
        page.wait_for_selector("#count tr:visible")
    assert page.evaluate(CUT) == []
    page.goto(f"{gallery}/sign")
    page.wait_for_selector("#count tr")
    page.wait_for_selector("#history tr")
    assert page.evaluate(CUT) == []


def test_a_tiff_is_shown_closely(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada")
    page.goto(case_address(page, station))
    page.locator(".tile").first.dblclick()
    page.wait_for_selector("#cell:visible")
    until(lambda: page.evaluate("document.getElementById('picture').naturalWidth === 64"))


def test_back_finds_the_search_and_no_address_holds_it(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada")
    page.fill("#search", "Muster")
    page.wait_for_selector("#total:text-is('1 case')")
    page.select_option("#filter", "draft")
    page.wait_for_selector("#total:text-is('1 case')")
    page.click("#cases a")
    page.wait_for_selector(".tile")
    page.go_back()
    page.wait_for_selector("#work[aria-busy=false]")
    assert (page.input_value("#search"), page.input_value("#filter")) == ("Muster", "draft")
    assert page.inner_text("#total") == "1 case"
    assert page.url == f"{station.address}/?status=draft"  # and no word of the search


def test_the_parts_of_an_analysis_are_one_line_of_the_history(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada")
    page.goto(f"{case_address(page, station)}/sign")
    page.wait_for_selector("#history tr")
    lines = [row.inner_text() for row in page.locator("#history tr").all()]
    classified = [line for line in lines if "Cells classified" in line]
    assert len(classified) == 1
    assert "90 cells" in classified[0]
    assert "from 1 · to 90" in classified[0]


def test_two_tabs_lead_past_the_classes_to_the_cells(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada")
    page.goto(case_address(page, station))
    page.wait_for_selector(".tile")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to the cells"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.classList.contains('tile')")


def test_a_page_that_waits_for_the_station_shows_it(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ada")
    held: list[Any] = []
    page.goto(f"{case_address(page, station)}/sign")
    page.wait_for_selector("#reviewed:visible")
    page.wait_for_selector("html:not(.busy)")

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/reviewed", hold)
    page.click("#reviewed")
    page.wait_for_selector("html.busy")
    until(lambda: page.wait_for_timeout(10) or held)
    held[0].abort()
    page.wait_for_selector("html:not(.busy)")
    page.wait_for_selector("#wrong.shown")
    page.wrong.clear()


def test_a_report_under_amendment_is_named_after_the_revision_that_it_holds(
    station: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in(station, "ada")
    sign = f"{case_address(page, station)}/sign"
    page.goto(sign)
    page.click("#reviewed")
    page.wait_for_selector("#sign:visible")
    page.click("#sign")
    if page.locator("#confirm [name=password]").count():
        page.fill("#confirm [name=password]", PASSWORD)
    page.click("#confirm button.main")
    page.wait_for_selector("#status .signed")
    case = sign.split("/")[-2]
    ada = station.store.users.check_password("ada", PASSWORD)
    version = station.store.cases.get(ada, case).version
    station.store.signing.amend(ada, case, Amendment(version=version, reason="one more look"))
    page.reload()
    page.wait_for_selector("#status .amending")
    names = {name: page.get_attribute(f"#download-{name}", "download") for name in ("html", "pdf", "fhir", "csv")}
    assert {name.split("-")[2].split(".")[0] for name in names.values()} == {"r1"}
