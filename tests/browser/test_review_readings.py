"""Blind readings in a real browser: asked for, read by keys alone, compared, settled, and scored over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from support.passwords import PASSWORD
from support.predicted import predictions

CODES = ("SNE", "LY", "MO", "EO")
KEYS = {"SNE": "s", "LY": "l", "MO": "m", "EO": "e"}


@pytest.fixture
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """Ada's case of four cells."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(folder=folder / "s", serve=True, model=str(colour_model.path), before_signing="nothing")
    with station_of(settings) as running:
        ada = running.store.users.check_password("ada", PASSWORD)
        case = running.store.cases.open(ada, CaseDraft(slide="blind", patient="Martin"))
        drawn = [colour_model.draw(folder / f"{code}.png", code).read_bytes() for code in CODES]
        images = [NewImage(f"{n}.png", data, 64, 64, "image/png") for n, data in enumerate(drawn)]
        running.store.cells.add_images(ada, case.id, images)
        running.store.predictions.write(case.id, predictions(CODES), ModelFacts("colours", "c" * 64))
        yield running


def the_case(station: Any) -> str:
    from leukopy.review.records import CaseSearch

    ada = station.store.users.check_password("ada", PASSWORD)
    (case,) = station.store.cases.search(ada, CaseSearch()).cases
    return str(case.id)


def ask(page: Any, station: Any, reader: str) -> None:
    page.goto(f"{station.address}/cases/{the_case(station)}/sign")
    page.wait_for_selector("#count tr")
    page.click("#ask-reading")
    page.select_option("#ask-dialog [name=reader]", label=reader)
    page.click("#ask-dialog button.main")
    page.wait_for_selector(f"#case-readings:has-text('{reader}')")


def read(page: Any, station: Any, changed: dict[str, str]) -> None:
    """Read by keys alone, as the pictures are, but for those changed."""
    page.click("nav >> text=Blind readings")
    page.click("#todo a")
    page.wait_for_selector("#reading[aria-busy=false]")
    user = station.store.users.for_maintenance()
    truth = {cell.id: cell.code for cell in station.store.cells.all(user, the_case(station))}
    for place in range(len(CODES)):
        page.wait_for_selector(f"#progress-words:has-text('Cell {place + 1} of 4')")
        cell = int(page.get_attribute("#picture", "src").split("/cells/")[1].split("/")[0])
        code = truth[cell]
        page.keyboard.press(KEYS[changed.get(code, code)])
    page.wait_for_selector("#finish:enabled")
    page.focus("#finish")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#disagreements li")


def test_two_readers_one_of_them_blind_disagree_and_a_third_settles(station: Any, sign_in: Callable[..., Any]) -> None:
    rita = sign_in(station, "rita")
    ask(rita, station, "Ron Okafor")
    ron = sign_in(station, "ron")
    read(ron, station, {"MO": "LY"})
    assert "75.0" in ron.inner_text("#facts")
    assert "Lymphocyte" in ron.inner_text("#disagreements")
    assert ron.locator("#disagreements button").count() == 0  # the blind reader settles nothing
    rita.goto(ron.url)
    rita.wait_for_selector("#disagreements button")
    rita.click("#disagreements button:has-text('blind: Lymphocyte')")
    rita.wait_for_selector("#disagreements:has-text('settled: Lymphocyte')")
    user = station.store.users.for_maintenance()
    assert sorted(cell.code for cell in station.store.cells.all(user, the_case(station))) == ["EO", "LY", "LY", "SNE"]
    assert station.store.audit.verify().intact


def test_a_signed_case_becomes_a_test_whose_score_is_shown_over_time(station: Any, sign_in: Callable[..., Any]) -> None:
    ada = sign_in(station, "ada")
    ada.goto(f"{station.address}/cases/{the_case(station)}/sign")
    ada.click("#reviewed")
    ada.click("#sign")
    ada.fill("#confirm [name=password]", PASSWORD)
    ada.keyboard.press("Enter")
    ada.wait_for_selector("#said:has-text('signed')")
    ask(ada, station, "Ron Okafor")
    ron = sign_in(station, "ron")
    read(ron, station, {"EO": "SNE"})
    assert "compared with what was signed" in ron.inner_text("#result-words")
    ron.click("a:visible:has-text('To the readings')")
    ron.wait_for_selector("#scores td:has-text('75.0')")
    assert ron.locator("svg.chart circle").count() == 1
    assert "Martin" not in ron.content()


def test_an_answer_that_is_not_stored_is_kept_and_said(station: Any, sign_in: Callable[..., Any]) -> None:
    rita = sign_in(station, "rita")
    ask(rita, station, "Ron Okafor")
    ron = sign_in(station, "ron")
    ron.goto(f"{station.address}/readings")
    ron.click("#todo a")
    ron.wait_for_selector("#reading[aria-busy=false]")
    ron.route("**/answers", lambda route: route.abort())
    ron.keyboard.press("l")
    ron.wait_for_selector("#unsaved:has-text('Not saved')")
    ron.reload()
    ron.wait_for_selector("#progress-words:has-text('1 named')")
    ron.unroute("**/answers")
    ron.wait_for_selector("#unsaved", state="hidden")
    ron.reload()
    ron.wait_for_selector("#progress-words:has-text('1 named')")
    ron.wrong[:] = [text for text in ron.wrong if "ERR_FAILED" not in text]
