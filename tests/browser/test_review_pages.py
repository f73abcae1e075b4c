"""The pages around the gallery: the work list, users and classes, a session that ends, an analysis that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")


DROP = """
(text) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], 'dropped-slide.zip', { type: 'application/zip' }));
  for (const kind of ['dragover', 'drop']) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""


@pytest.fixture
def station(colour_station: Any) -> Any:
    return colour_station


def new_case(page: Any, slide: str, patient: str) -> None:
    page.click(".page-head .new-case")
    page.fill("#new-case [name=slide]", slide)
    page.fill("#new-case [name=patient]", patient)
    page.click("#new-case button.main")
    page.wait_for_selector(f"#cases a:text-is('{slide}')")


def accept(page: Any, *statuses: int) -> None:
    """Take out what the browser wrote of refused requests that the test provoked."""
    page.wrong[:] = [text for text in page.wrong if not any(f"status of {status}" in text for status in statuses)]


def test_cases_are_found_without_a_name_in_an_address(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    new_case(page, "S-1", "Martin")
    new_case(page, "S-2", "O'Neill <script>alert(1)</script>")
    assert page.inner_text("#total") == "2 cases"
    page.fill("#search", "o'neill")
    page.wait_for_selector("#total:text-is('1 case')")
    assert page.inner_text("#cases th") == "S-2"
    page.fill("#search", "nobody of this name")
    page.wait_for_selector("#nothing:visible")
    page.fill("#search", "")
    page.wait_for_selector("#total:text-is('2 cases')")
    page.select_option("#filter", "signed")
    page.wait_for_selector("#nothing:visible")
    assert not [url for url in asked if "neill" in url.lower() or "martin" in url.lower() or "nobody" in url]


def test_files_may_be_dropped_anywhere(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita")
    page.evaluate(DROP, "this is no zip")
    page.wait_for_selector("#new-case[open]")
    assert page.inner_text("#chosen-files") == "dropped-slide.zip"
    assert page.input_value("#new-case [name=slide]") == "dropped-slide"
    page.fill("#new-case [name=age]", "two hundred")
    page.click("#new-case button.main")
    page.wait_for_selector("#wrong:has-text('Age: enter a number from 0 to 120')")
    page.evaluate(DROP, "this is no zip")
    page.click("#new-case button.main")
    page.wait_for_selector("#refused:visible")
    page.click("#refused summary")
    assert "dropped-slide.zip" in page.inner_text("#refused-list")
    page.click("#cases a:text-is('dropped-slide')")
    page.wait_for_selector("#empty:visible")  # says what to do
    assert page.is_visible("#add-first")


def test_users_and_classes_are_added_and_a_new_key_gives_the_new_class(
    station: Any, sign_in: Callable[..., Any], colour_model: Any, tmp_path: Path
) -> None:
    page = sign_in(station, "ada")
    page.click("text=Administration")
    page.click("#add-user")
    for name, value in (("name", "zoe"), ("full_name", "Zoé Petit"), ("password", "a long enough password")):
        page.fill(f"#user-dialog [name={name}]", value)
    page.click("#user-dialog button.main")
    page.wait_for_selector("#users:has-text('Zoé Petit')")
    page.click("#add-class")
    for name, value in (("code", "hairy"), ("key", "x"), ("name", "hairy cell"), ("french", "tricholeucocyte")):
        page.fill(f"#class-dialog [name={name}]", value)
    page.click("#class-dialog button.main")
    page.wait_for_selector("#class-rows:has-text('HAIRY')", state="attached")
    page.wait_for_selector("#said:has-text('Saved')")
    page.click("text=Work list")
    page.click(".page-head .new-case")
    page.set_input_files(
        "#files", [colour_model.draw(tmp_path / "a.png", "LY"), colour_model.draw(tmp_path / "b.png", "LY")]
    )
    page.fill("#new-case [name=slide]", "own class")
    page.click("#new-case button.main")
    page.wait_for_selector("#said:has-text('finished')")
    page.click("#cases a:text-is('own class')")
    page.locator(".tile").first.click()
    page.keyboard.press("x")
    page.wait_for_selector("#count [data-line=HAIRY] td:nth-child(2):text-is('1')")


def test_a_session_that_has_ended_leads_to_the_log_in_and_back(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita")
    page.goto(f"{station.address}/quality")
    page.wait_for_selector("#empty:visible")
    page.context.clear_cookies()
    page.goto(f"{station.address}/quality")
    page.wait_for_selector("#login")
    page.fill("[name=name]", "rita")
    page.fill("[name=password]", "not the password")
    page.click("#login button")
    page.wait_for_selector("#wrong:has-text('Name or password is wrong')")
    page.fill("[name=password]", "correct horse battery")
    page.click("#login button")
    page.wait_for_url(f"{station.address}/quality")
    accept(page, 401)


def test_what_is_not_there_says_what_to_do(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "ron")
    for path in ("", "/sign"):
        page.goto(f"{station.address}/cases/{'0' * 32}{path}")
        page.wait_for_selector("#missing:visible")
        assert "share it with you" in page.inner_text("#missing")
    accept(page, 404)
