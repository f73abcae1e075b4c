"""The work list in a real browser: views, order, Back, planning, handing over, and word of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.api import worklist
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from support.passwords import PASSWORD
from support.predicted import predictions
from support.waiting import until


@pytest.fixture
def station(
    tmp_path_factory: pytest.TempPathFactory,
    colour_model: Any,
    station_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """Ron's three cases: with a blast and due long ago, urgent, and plain."""
    monkeypatch.setattr(worklist, "_POLL", 0.1)
    folder = tmp_path_factory.mktemp("station")
    with station_of(ReviewSettings(folder=folder, serve=True, model=str(colour_model.path))) as running:
        picture = colour_model.draw(folder / "cell.png", "SNE").read_bytes()
        add(
            running,
            picture,
            "blasts",
            CaseDraft(slide="A-1", patient="Martin", due="2026-01-05"),
            ("BLAST", "SNE", "LY"),
        )
        add(running, picture, "urgent", CaseDraft(slide="B-2", patient="Kim", priority="urgent"), ("SNE",))
        add(running, picture, "plain", CaseDraft(slide="C-3", patient="Abel"), ())
        yield running


def add(station: Any, picture: bytes, seed: str, draft: CaseDraft, codes: tuple[str, ...], name: str = "ron") -> Any:
    user = station.store.users.check_password(name, PASSWORD)
    case = station.store.cases.open(user, draft)
    if codes:
        images = [
            NewImage(f"{n}.png", picture + f"{seed} {n}".encode(), 64, 64, "image/png") for n in range(len(codes))
        ]
        station.store.cells.add_images(user, case.id, images)
        station.store.predictions.write(case.id, predictions(codes), ModelFacts("colours", "c" * 64))
    return case


def slides(page: Any) -> list[str]:
    return list(page.locator("#cases th a").all_inner_texts())


def shows(page: Any, *expected: str) -> None:
    until(lambda: page.locator("#cases th a").all_text_contents() == list(expected))


def test_views_and_order_stand_in_the_address_and_back_restores_them(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ron")
    assert sorted(slides(page)) == ["A-1", "B-2", "C-3"]
    assert page.inner_text("[data-view=blasts] .figure") == "1"
    page.click("[data-sort=due]")
    shows(page, "A-1", "C-3", "B-2")
    assert page.get_attribute("th:has([data-sort=due])", "aria-sort") == "ascending"
    page.click("[data-sort=priority]")
    until(lambda: page.evaluate("document.querySelector('#cases th a').textContent === 'B-2'"))
    page.click("[data-view=blasts]")
    shows(page, "A-1")
    assert page.url.endswith("/?view=blasts&sort=priority")
    assert "1 blast" in page.inner_text("#cases")
    assert "late" in page.inner_text("#cases .due")
    page.click("#cases th a")
    page.wait_for_selector(".tile")
    page.go_back()
    shows(page, "A-1")
    assert page.get_attribute("[data-view=blasts]", "aria-pressed") == "true"
    page.go_back()
    until(lambda: page.evaluate("document.querySelectorAll('#cases th a').length === 3"))
    assert page.url.endswith("/?sort=priority")
    page.go_back()
    until(lambda: page.evaluate("location.search === '?sort=due'"))
    page.click("[data-sort=slide]")
    page.click("[data-sort=slide]")
    shows(page, "C-3", "B-2", "A-1")
    assert page.url.endswith("/?sort=slide&down=")
    page.reload()
    shows(page, "C-3", "B-2", "A-1")


def test_words_of_a_search_are_restored_and_stand_in_no_address(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ron")
    page.fill("#search", "martin")
    shows(page, "A-1")
    page.click("#cases th a")
    page.wait_for_selector(".tile")
    page.go_back()
    shows(page, "A-1")
    assert page.input_value("#search") == "martin"
    assert "artin" not in page.evaluate("location.href")


def test_a_case_is_planned_and_handed_over_with_keys_alone(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ron")
    page.focus("[aria-label='Plan C-3']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#plan-dialog[open]")
    page.select_option("#plan-dialog [name=priority]", "emergency")
    page.fill("#plan-dialog [name=due]", "2030-12-24")
    page.select_option("#plan-dialog [name=owner]", label="Rita Moreau")
    page.focus("#plan-dialog [name=due]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('Saved')")
    row = page.locator("#cases tr", has_text="C-3")
    row.locator("text=Rita Moreau").wait_for()
    assert "Emergency" in row.inner_text()
    assert "24 Dec 2030" in row.inner_text()
    assert row.locator("button").count() == 0  # it is hers now
    other = sign_in(station, "rita")
    other.click("[data-view=mine]")
    shows(other, "C-3")


def test_the_list_follows_the_station_and_says_when_the_connection_is_lost(
    station: Any, sign_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worklist, "_LONGEST", 2.0)  # after which the page asks again
    page = sign_in(station, "rita")
    page.focus("[data-keep^=plan]")
    kept = page.evaluate("document.activeElement.dataset.keep")
    add(station, b"", "later", CaseDraft(slide="D-4", patient="Late"), ())
    page.wait_for_selector("#cases a:text-is('D-4')")
    assert page.evaluate("document.activeElement.dataset.keep") == kept  # the reader is where they were
    page.route("**/worklist/events", lambda route: route.abort())
    page.wait_for_selector("#connection:has-text('connection to the station is lost')")
    add(station, b"", "meanwhile", CaseDraft(slide="E-5"), ())
    page.unroute("**/worklist/events")
    page.wait_for_selector("#cases a:text-is('E-5')")
    page.wait_for_selector("#connection", state="hidden")
    page.wrong[:] = [text for text in page.wrong if "ERR_FAILED" not in text]


def test_in_french_on_a_tablet_in_the_dark_nothing_is_cut(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(
        station, "ron", locale="fr-FR", color_scheme="dark", viewport={"width": 820, "height": 1180}
    )  # fmt: skip
    assert page.inner_text("[data-view=to_sign]").startswith("À signer")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "1 blaste" in page.inner_text("#cases")
