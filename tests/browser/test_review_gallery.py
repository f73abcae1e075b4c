"""Hands on the gallery: keys alone, fingers, many cells at once, a colleague who was faster, 500 cells."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")


OF_CLASS = ".group[data-code={}] .tile"


@pytest.fixture
def station(colour_station: Any) -> Any:
    return colour_station


@pytest.fixture(scope="module")
def zip_of(tmp_path_factory: pytest.TempPathFactory, colour_model: Any) -> Callable[[int], bytes]:
    """A zip of so many plain pictures, class after class in turn."""

    def make(cells: int) -> bytes:
        folder = tmp_path_factory.mktemp("cells")
        colour_model.draw_folder(folder, cells)
        packed = BytesIO()
        with ZipFile(packed, "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        return packed.getvalue()

    return make


def open_case(page: Any, packed: bytes, slide: str, finished: str = "finished") -> None:
    """A new case through the page; ends in its gallery. ``finished``: what the page says of the analysis then."""
    page.click(".page-head .new-case")
    page.set_input_files("#files", {"name": f"{slide}.zip", "mimeType": "application/zip", "buffer": packed})
    page.click("#new-case button.main")
    page.wait_for_selector(f"#said:has-text('{finished}')")
    page.click(f"#cases a:text-is('{slide}')")
    page.wait_for_selector(".tile")


def count(page: Any, code: str) -> int:
    return page.locator(OF_CLASS.format(code)).count()


def test_keys_alone_are_enough(station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]) -> None:
    page = sign_in(station, "rita")
    open_case(page, zip_of(33), "keys")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('tile')"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"  # the focus is seen
    page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#chosen") == "2 cells chosen"
    page.keyboard.press("b")
    page.wait_for_selector("#said:has-text('2 cells are now: Band neutrophil')")
    assert (count(page, "SNE"), count(page, "BNE")) == (1, 5)
    page.keyboard.press("ArrowDown")  # the cell below is of the next class
    assert page.evaluate("document.activeElement.closest('.group').dataset.code") == "BNE"
    page.keyboard.press("Control+a")
    assert page.inner_text("#chosen") == "5 cells chosen"
    page.keyboard.press("u")
    page.wait_for_selector("#said:has-text('5 cells are now: Unidentified')")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#said:has-text('Undone for 5 cells')")
    page.keyboard.press("Control+Shift+Z")
    page.wait_for_selector("#said:has-text('Redone for 5 cells')")
    assert (count(page, "BNE"), count(page, "UNIDENTIFIED")) == (0, 5)
    page.keyboard.press("Enter")
    page.wait_for_selector("#cell:visible")
    page.wait_for_selector("#probabilities li")
    page.keyboard.press("?")
    assert page.inner_text("#key-list li >> nth=0").split() == ["s", "Segmented", "neutrophil"]
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")


def test_many_cells_are_dragged_onto_a_group(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita")
    open_case(page, zip_of(22), "drag")
    eosinophils = page.locator(OF_CLASS.format("EO"))
    eosinophils.nth(0).click()
    eosinophils.nth(1).click(modifiers=["Shift"])
    eosinophils.nth(0).drag_to(page.locator(".group[data-code=BNE]"))
    page.wait_for_selector("#said:has-text('2 cells are now: Band neutrophil')")
    assert (count(page, "EO"), count(page, "BNE")) == (0, 4)
    assert page.inner_text(".class[data-code=BNE] .figure") == "4"
    page.click("#undo")
    page.wait_for_selector("#said:has-text('Undone for 2 cells')")
    assert (count(page, "EO"), count(page, "BNE")) == (2, 2)


def test_a_finger_taps_cells_and_then_a_class(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita", viewport={"width": 820, "height": 1180}, has_touch=True)
    open_case(page, zip_of(22), "touch")
    for number in (0, 1):
        page.locator(OF_CLASS.format("LY")).nth(number).tap()
    assert page.inner_text("#chosen") == "2 cells chosen"
    page.locator(".class[data-code=LYA]").tap()
    page.wait_for_selector("#said:has-text('2 cells are now: Atypical lymphocyte')")
    page.locator("#show-panel").tap()
    page.wait_for_selector("#count [data-line=LYA] td:nth-child(2):text-is('2')")


def test_who_was_slower_sees_whose_change_stands(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    slow, fast = sign_in(station, "rita"), sign_in(station, "ada")
    open_case(slow, zip_of(11), "two readers")
    fast.goto(slow.url)
    for page, key in ((fast, "e"), (slow, "m")):
        page.locator(OF_CLASS.format("LY")).first.click()
        page.keyboard.press(key)
        page.wait_for_selector("#said:has-text('now: Eosinophil'), #wrong.shown")
    told = slow.inner_text("#wrong")
    assert "Ada Weiss changed" in told
    assert "Eosinophil" in told
    assert (count(slow, "LY"), count(slow, "EO"), count(slow, "MO")) == (0, 2, 1)
    slow.wait_for_selector("#count [data-line=EO] td:nth-child(2):text-is('2')")
    assert [text for text in slow.wrong if "409" not in text] == []
    slow.wrong.clear()  # the browser writes each refused request to its console


def test_remarks_targets_and_white_cells_are_kept(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita", locale="fr-FR")
    open_case(page, zip_of(11), "lame", finished="terminée")
    page.locator(OF_CLASS.format("LY")).first.dblclick()
    page.wait_for_selector("#probabilities li")
    page.fill("#comment", "<img src=x onerror=alert(1)>")
    page.click("#comment-form button")
    page.wait_for_selector(".tile.remarked")
    page.click("#tab-count")
    page.fill("#leukocytes", "7,5")
    page.keyboard.press("Tab")
    # A ninth of 6.75 × 10⁹/L: 7.5, corrected for one erythroblast beside nine leukocytes.
    page.wait_for_selector("#count [data-line=LY] td:nth-child(5):text-is('0,75')")
    page.click("#panel-count .switch label:nth-of-type(2)")
    page.wait_for_selector("#target:has-text('200')")
    page.reload()
    page.wait_for_selector("#count [data-line=LY] td:nth-child(5):text-is('0,75')")
    assert page.input_value("#leukocytes") == "7,5"
    assert "<img src=x" in page.get_attribute(OF_CLASS.format("LY"), "title")


def test_of_500_cells_the_page_holds_those_near_the_screen(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita")
    packed = zip_of(500)
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url) if "/image?" in request.url else None)
    open_case(page, packed, "many")
    page.wait_for_load_state("networkidle")
    assert 0 < page.locator(".tile").count() < 300
    assert 0 < len(pictures) < 300
    assert sum(int(words.split()[0]) for words in page.locator(".group-head .figure").all_inner_texts()) == 500
    page.locator(".tile").first.click()
    page.keyboard.press("End")
    last = page.evaluate("document.activeElement.dataset.cell")
    assert page.evaluate(ON_SCREEN)
    assert page.evaluate("document.activeElement.ariaPosInSet === document.activeElement.ariaSetSize")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.cell") == last
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_selector(".group[data-code=SNE] .tile")
    page.locator(OF_CLASS.format("SNE")).first.click(modifiers=["Shift"])  # the last cell has left the screen
    assert page.inner_text("#chosen") == "500 cells chosen"
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    assert page.evaluate(ON_SCREEN)
    page.keyboard.press("b")
    page.wait_for_selector("#said:has-text('1 cell is now: Band neutrophil')")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#said:has-text('Undone for 1 cell')")
    assert page.evaluate("document.activeElement.dataset.cell") == last  # focused where it came back
    assert page.evaluate(ON_SCREEN)


ON_SCREEN = """(() => {
  const { top, bottom } = document.activeElement.getBoundingClientRect();
  return document.activeElement.matches('.tile') && top >= 0 && bottom <= innerHeight;
})()"""
DRAWN = """() => {
  const cell = [...document.querySelectorAll('.group[data-code=SNE] .tile')].at(-1);
  cell.click();
  window.drawn = [];
  const note = (changes) => window.drawn.push(...changes.flatMap((change) => [...change.addedNodes]
    .filter((node) => node.nodeType === Node.ELEMENT_NODE)
    .flatMap((node) => node.matches('.tile') ? [node] : [...node.querySelectorAll('.tile')])));
  const observer = new MutationObserver(note);
  observer.observe(document.body, { childList: true, subtree: true });
  cell.dispatchEvent(new KeyboardEvent('keydown', { key: 'b', bubbles: true }));
  note(observer.takeRecords());
  return window.drawn.length;
}"""


def test_a_gesture_draws_one_cell_anew(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita", viewport={"width": 1280, "height": 2000})
    open_case(page, zip_of(33), "few")
    page.wait_for_load_state("networkidle")
    assert page.locator(".tile").count() == 33
    assert page.evaluate(DRAWN) == 1  # before the station has answered
    page.wait_for_selector("#said:has-text('1 cell is now: Band neutrophil')")
    assert page.evaluate("window.drawn.length") == 1


def test_tiles_keep_their_size_and_crop(
    station: Any, sign_in: Callable[..., Any], zip_of: Callable[[int], bytes]
) -> None:
    page = sign_in(station, "rita", viewport={"width": 1920, "height": 1000})
    open_case(page, zip_of(44), "size")
    side = "document.querySelector('.tile').offsetWidth"
    board = page.evaluate("document.querySelector('#board').clientWidth")
    broad = page.evaluate(side)
    assert broad > 120
    columns = (board + 2) // (broad + 2)
    assert board + 2 - columns * (broad + 2) < columns  # no room is left beside them
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(side) > broad
    page.fill("#tile-size", "200")
    large = page.evaluate(side)
    assert large >= 200
    page.keyboard.press(".")
    page.wait_for_selector(".tile img[src*='cropped=true']")
    assert page.get_attribute("#crop", "aria-pressed") == "true"
    page.reload()
    page.wait_for_selector(".tile img[src*='side=320&cropped=true']")
    assert page.evaluate(side) == large
    page.click("#crop")
    page.wait_for_selector(".tile img:not([src*=cropped])")
    page.locator(".tile").first.click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("-")  # the cell with the focus stays on the screen
    assert page.evaluate(ON_SCREEN)
    other = sign_in(station, "ada", viewport={"width": 1920, "height": 1000})
    other.goto(page.url)
    other.wait_for_selector(".tile")
    assert other.evaluate(side) == broad
