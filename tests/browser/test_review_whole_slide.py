"""A whole slide in the gallery: its overview leads to each field and to each cell, which is corrected there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
pytest.importorskip("openslide", reason="openslide is not installed (extra 'slides')")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra 'dev')")

from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from support.axe import findings
from support.screenshots import picture
from support.slides import draw_svs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, station_of: Callable[..., Any]) -> Iterator[Any]:
    """With a case of a drawn SVS."""
    folder = tmp_path_factory.mktemp("whole")
    result = analyze(AnalyzeSettings(input=draw_svs(folder), leukocytes=10, threads=1), folder / "out")
    with station_of(ReviewSettings(folder=folder / "station", serve=True)) as running:
        import_as_case(running.store, running.store.users.single_user(), CaseDraft(slide="whole"), result.folder)
        yield running


def open_slide(page: Any) -> None:
    page.click("#cases a:text-is('whole')")
    page.wait_for_selector(".tile")
    page.click("#view-fields")
    page.wait_for_selector("#places circle")


@pytest.mark.parametrize(
    ("locale", "scheme", "words"),
    [("en-GB", "light", "The whole slide with 2 fields"), ("fr-FR", "dark", "La lame entière avec 2 champs")],
)
def test_the_overview_shows_every_field_and_cell(
    station: Any, sign_in: Callable[..., Any], locale: str, scheme: str, words: str
) -> None:
    page = sign_in(station, "rita", locale=locale, color_scheme=scheme)
    open_slide(page)
    (case,) = page.url.split("/")[-1:]
    user = station.store.users.for_maintenance()
    cells = [row for row in station.store.cells.all(user, case) if row.field]
    assert page.locator("#places circle").count() == len(cells) >= 10
    assert page.locator("#places rect").count() == 2
    assert page.get_attribute("#overview-picture", "alt").startswith(words)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.querySelector('#overview-picture').naturalWidth") > 300
    if locale == "en-GB":
        picture(page, "slide-light")
    assert findings(page, locale) == []
    # Each point lies in the square of its field, as far across as its box lies on the field.
    inside = """[...document.querySelectorAll('#places circle')].every((point) => {
        const [x, y] = ['cx', 'cy'].map((name) => Number(point.getAttribute(name)));
        return [...document.querySelectorAll('#places rect')].some((square) => {
            const sides = ['x', 'y', 'width', 'height'].map((name) => Number(square.getAttribute(name)));
            const [left, top, width, height] = sides;
            return left <= x && x <= left + width && top <= y && y <= top + height;
        });
    })"""
    assert page.evaluate(inside)


def test_a_click_leads_to_the_cell_among_the_tiles_where_it_is_corrected(
    station: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in(station, "rita")
    open_slide(page)
    second = page.locator("#places rect").nth(1)
    second.click(position={"x": 3, "y": 3})
    page.wait_for_selector("#field-list li:nth-child(2) [aria-current=true]")
    point = page.locator("#places circle").first
    cell = point.get_attribute("data-cell")
    point.click(force=True)
    page.wait_for_selector(f"#cell-{cell}:focus")
    assert page.is_hidden("#fieldview")
    page.keyboard.press("e")
    page.wait_for_selector("#said:has-text('now: Eosinophil')")
    page.click(f"#cell-{cell}")
    page.click("#view-fields")  # the field of the cell that is chosen
    page.wait_for_selector(f"#places circle.chosen[data-cell='{cell}']")
    page.wait_for_selector(f".box[data-cell='{cell}'] .code:text-is('EO')")
    assert "Eosinophil" in page.locator(f"#places circle[data-cell='{cell}'] title").text_content()
    box = page.locator(f".box[data-cell='{cell}']")
    box.click()  # and on the field itself
    page.keyboard.press("m")
    page.wait_for_selector(f".box[data-cell='{cell}'] .code:text-is('MO')")
