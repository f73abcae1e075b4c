"""Counting by eye in a real browser: keys, sound, undo, a browser that is closed, and the signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import CaseDraft
from support.passwords import PASSWORD
from support.waiting import hold, until

NOTE_SOUNDS = """
window.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.tones += 1; return start.apply(this, when); };
"""


@pytest.fixture
def station(colour_station: Any) -> Any:
    return colour_station


def new_count(station: Any, slide: str, name: str = "rita") -> str:
    user = station.store.users.check_password(name, PASSWORD)
    case = station.store.cases.open(user, CaseDraft(slide=slide, patient="Martin"))
    return str(case.id)


def stored(station: Any, case: str) -> dict[str, int]:
    counts, _ = station.store.eye_counts.counts(station.store.users.for_maintenance(), case)
    return dict(counts)


def counts(page: Any, code: str, number: int) -> None:
    page.wait_for_selector(f"[data-code={code}] .figure:text-is('{number}')")


def test_a_count_by_eye_from_the_work_list_to_the_signature_by_keys(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita")
    page.click("#count-by-eye")
    assert not page.is_visible("#choose-files")
    page.fill("#new-case [name=slide]", "eye-1")
    page.fill("#new-case [name=leukocytes]", "8")
    page.keyboard.press("Enter")
    page.wait_for_selector("#counter[aria-busy=false]")
    case = page.url.split("/")[-2]
    for key in "s" * 60 + "l" * 30 + "m" * 6 + "e" * 3 + "k":
        page.keyboard.press(key)
    page.wait_for_selector("#heard:has-text('100 leukocytes counted')", state="attached")
    page.keyboard.press("Backspace")
    page.keyboard.press("b")
    counts(page, "SNE", 60)
    counts(page, "BNE", 1)
    counts(page, "BLAST", 0)
    page.click("#to-sign")
    page.wait_for_url("**/sign")  # once the last key is stored
    page.wait_for_selector("#count tr")
    assert stored(station, case) == {"SNE": 60, "LY": 30, "MO": 6, "EO": 3, "BNE": 1}
    assert "Counted by eye" in page.inner_text(".notes")
    assert not page.is_visible("#agreement-title")
    page.wait_for_selector("#reviewed:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sign:visible")
    page.click("#sign")
    page.fill("#confirm [name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('signed')")
    for kind in ("report.html", "report.pdf", "report.csv", "report.fhir.json"):
        answer = page.request.get(f"{station.address}/api/v1/cases/{case}/{kind}")
        assert answer.ok, kind
    report = page.request.get(f"{station.address}/api/v1/cases/{case}/report.html").text()
    assert "Counted by eye at the microscope" in report
    page.click("text=Work list")
    page.click("#cases a:text-is('eye-1')")
    page.wait_for_selector("#closed:visible")
    assert page.is_disabled("[data-code=LY]")
    assert station.store.audit.verify().intact


def test_sounds_are_heard_until_they_are_muted(station: Any, sign_in: Callable[..., Any]) -> None:
    case = new_count(station, "sound")
    page = sign_in(station, "rita")
    page.add_init_script(NOTE_SOUNDS)
    page.goto(f"{station.address}/cases/{case}/count")
    page.wait_for_selector("#counter[aria-busy=false]")
    page.keyboard.press("l")
    counts(page, "LY", 1)
    assert page.evaluate("window.tones") == 1
    page.click("#mute")
    page.keyboard.press("l")
    counts(page, "LY", 2)
    assert page.evaluate("window.tones") == 1
    page.reload()
    page.wait_for_selector("#mute[aria-pressed=true]")
    page.click("#mute")
    page.keyboard.press("l")
    counts(page, "LY", 3)
    assert page.evaluate("window.tones") == 1


def test_keys_that_are_pressed_before_the_count_is_there_count(station: Any, sign_in: Callable[..., Any]) -> None:
    case = new_count(station, "early")
    page = sign_in(station, "rita")
    first = hold(page, "**/tally", lambda: page.goto(f"{station.address}/cases/{case}/count"))
    for key in ("l", "l", "Backspace", "s"):
        page.keyboard.press(key)
    assert page.get_attribute("#counter", "aria-busy") == "true"
    first.continue_()
    counts(page, "LY", 1)
    counts(page, "SNE", 1)
    until(lambda: stored(station, case) == {"LY": 1, "SNE": 1})


def test_nothing_is_lost_or_doubled_when_the_browser_is_closed_amid_a_broken_connection(
    station: Any, sign_in: Callable[..., Any]
) -> None:
    case = new_count(station, "closed")
    page = sign_in(station, "rita")
    page.goto(f"{station.address}/cases/{case}/count")
    page.wait_for_selector("#counter[aria-busy=false]")
    page.keyboard.press("l")
    until(lambda: page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tally')).length === 0"))
    # The station stores the next part, but its answer is lost; then it does not answer at all.
    page.route("**/tally", lambda route: (route.fetch(), route.abort()))
    page.keyboard.press("s")
    page.wait_for_selector("#unsaved:has-text('Not saved')")
    assert stored(station, case) == {"LY": 1, "SNE": 1}
    page.keyboard.press("m")
    counts(page, "SNE", 1)
    context = page.context
    page.close()
    again = context.new_page()
    again.set_default_timeout(300_000)
    again.goto(f"{station.address}/cases/{case}/count")
    counts(again, "MO", 1)
    until(lambda: again.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tally')).length === 0"))
    assert stored(station, case) == {"LY": 1, "SNE": 1, "MO": 1}
    counts(again, "SNE", 1)
    page.wrong[:] = [text for text in page.wrong if "ERR_FAILED" not in text]


def test_a_case_with_images_is_not_counted_by_eye(
    station: Any, sign_in: Callable[..., Any], colour_model: Any, tmp_path: Any
) -> None:
    from leukopy.review.store import NewImage

    case = new_count(station, "pictures")
    user = station.store.users.check_password("rita", PASSWORD)
    drawn = colour_model.draw(tmp_path / "a.png", "LY")
    station.store.cells.add_images(user, case, [NewImage("a.png", drawn.read_bytes(), 64, 64, "image/png")])
    page = sign_in(station, "rita")
    page.goto(f"{station.address}/cases/{case}/count")
    page.wait_for_selector("#counter[aria-busy=false]")
    page.keyboard.press("l")
    page.wait_for_selector("#wrong:has-text('open another case to count by eye')")
    counts(page, "LY", 0)
    page.wrong[:] = [text for text in page.wrong if "status of 409" not in text]


@pytest.mark.parametrize(("width", "scheme", "locale"), [(390, "dark", "fr-FR"), (1920, "light", "en-GB")])
def test_the_counter_fits_every_screen_and_answers_a_finger(
    station: Any, sign_in: Callable[..., Any], width: int, scheme: str, locale: str
) -> None:
    case = new_count(station, f"screen {width}")
    page = sign_in(station, "rita", viewport={"width": width, "height": 800}, color_scheme=scheme, locale=locale)
    page.goto(f"{station.address}/cases/{case}/count")
    page.wait_for_selector("#counter[aria-busy=false]")
    page.click("[data-code=EO]")
    counts(page, "EO", 1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    until(lambda: page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tally')).length === 0"))
