"""Fields in the gallery: boxes are chosen, corrected, drawn and removed by mouse and keys; cells stand side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra 'dev')")

from leukopy.review.settings import ReviewSettings
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields
from support.axe import findings


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, station_of: Callable[..., Any]) -> Iterator[Any]:
    with station_of(ReviewSettings(folder=tmp_path_factory.mktemp("station") / "station", serve=True)) as running:
        yield running


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    settings = DrawFieldsSettings(fields=2, size=(900, 1200), cells=6)
    return [
        str(path) for path in sorted(draw_fields(settings, tmp_path_factory.mktemp("drawn") / "d").fields.iterdir())
    ]


def open_fields(page: Any, photographs: list[str], slide: str) -> None:
    """A new case of the photographs, on its page of fields."""
    page.click(".page-head .new-case")
    page.set_input_files("#files", photographs)
    page.fill("#new-case [name=slide]", slide)
    page.click("#new-case button.main")
    page.wait_for_selector("#said:has-text('finished')")
    page.click(f"#cases a:text-is('{slide}')")
    page.wait_for_selector(".tile")
    page.click("#view-fields")
    page.wait_for_selector("#boxes .box")


def test_a_box_is_corrected_drawn_and_removed(
    station: Any, sign_in: Callable[..., Any], photographs: list[str]
) -> None:
    page = sign_in(station, "rita")
    open_fields(page, photographs, "fields")
    assert findings(page) == []
    assert page.locator("#field-list button").count() == 2
    assert page.is_hidden("#board")
    boxes = page.locator("#boxes .box")
    before = boxes.count()
    cell = boxes.first.get_attribute("data-cell")
    boxes.first.click()
    assert boxes.first.get_attribute("aria-selected") == "true"
    page.keyboard.press("e")
    page.wait_for_selector("#said:has-text('now: Eosinophil')")
    page.wait_for_selector(f".box[data-cell='{cell}'] .code:text-is('EO')")
    focused = "document.activeElement.dataset.cell"
    assert page.evaluate(focused) not in (None, cell)  # the next cell of the field
    page.keyboard.press("Space")
    page.wait_for_selector("#said:has-text('1 cell confirmed')")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#said:has-text('Undone')")

    page.click("#draw")  # by keys alone, in a corner
    assert page.evaluate("document.activeElement.id") == "field"
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('finished')")
    page.locator("#boxes .box").nth(before).wait_for()
    assert page.locator("#boxes .box").count() == before + 1
    drawn = page.locator("#boxes .box[aria-label*='drawn by Rita Moreau']")
    assert drawn.count() == 1
    drawn.click()
    page.keyboard.press("Delete")
    page.wait_for_selector("#void-reason:focus")
    page.keyboard.type("no cell there")
    page.keyboard.press("Enter")
    page.wait_for_selector("#boxes .box.void")
    page.wait_for_selector("#cell-flags:has-text('no cell there')")
    page.fill("#void-reason", "")
    page.press("#void-reason", "Enter")
    page.wait_for_selector("#boxes .box.void", state="detached")
    page.click("#view-classes")
    assert page.is_visible("#board")
    assert page.is_hidden("#fieldview")


def test_a_missed_cell_is_drawn_with_the_mouse_in_french(
    station: Any, sign_in: Callable[..., Any], photographs: list[str]
) -> None:
    page = sign_in(station, "ada")
    open_fields(page, photographs, "mouse")
    page.click("[data-language=fr]")
    page.wait_for_selector(".tile")
    page.click("#view-fields")
    page.wait_for_selector("#boxes .box")
    before = page.locator("#boxes .box").count()
    page.click("#draw")
    area = page.locator("#field").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.4, area["y"] + area["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.5, area["y"] + area["height"] * 0.55, steps=4)
    page.mouse.up()
    page.locator("#boxes .box").nth(before).wait_for()
    assert page.locator("#boxes .box").count() == before + 1
    assert "tracée par Ada Weiss" in page.locator("#boxes").inner_html()


def test_cells_stand_side_by_side_beside_signed_look_alikes(
    station: Any, sign_in: Callable[..., Any], photographs: list[str]
) -> None:
    page = sign_in(station, "rita", color_scheme="dark", viewport={"width": 1920, "height": 1000})
    open_fields(page, photographs, "signed")
    page.click("#view-queue")
    while page.evaluate("document.activeElement.id") != "to-sign":
        page.locator("[data-group=look] .tile").first.click()
        page.keyboard.press("Control+a")
        page.keyboard.press("Space")
        page.wait_for_selector(".tile.pending", state="detached")
    page.keyboard.press("Enter")
    for step in ("#reviewed:focus", "#sign:focus"):
        page.wait_for_selector(step)
        page.keyboard.press("Enter")
    page.fill("#confirm [name=password]", "correct horse battery")
    page.click("#confirm button.main")
    page.wait_for_selector("#status .signed")
    signed = page.url.split("/")[4]

    page.goto(station.address)
    page.wait_for_selector("#work[aria-busy=false]")
    open_fields(page, photographs, "compared")
    page.click("#view-classes")
    page.locator(".tile").first.click()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("/")
    page.wait_for_selector("#alike img")
    assert page.locator("#compared .figure-cell").count() == 2
    assert all(f"/cases/{signed}/" in one.get_attribute("src") for one in page.locator("#alike img").all())
    page.wait_for_selector("#compare-references img")
    assert findings(page) == []
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.dataset.cell")
    page.keyboard.press("m")
    page.wait_for_selector(f".figure-cell[data-cell='{second}']:has-text('MO')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#board:visible")
    assert page.inner_text("#chosen") == "2 cells chosen"
