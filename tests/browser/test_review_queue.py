"""The queue of cells to look at: confirmed by the space bar, on the screen only, undone, required by a signature."""

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

CODES = ("SNE",) * 40 + ("LY",) * 20 + ("BNE",) * 5 + ("BLAST",)
FLAGS = ("uncertain", "unidentified", *[""] * (len(CODES) - 2))
QUEUE = 8
"""Two flagged, five bands and a blast."""


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("station")
    with station_of(ReviewSettings(folder=folder / "station", serve=True, model=str(colour_model.path))) as running:
        yield running


@pytest.fixture
def slide(station: Any, colour_model: Any, tmp_path: Any, request: pytest.FixtureRequest) -> str:
    """The name of a case of ``CODES`` of its own."""
    store = station.store
    rita = store.users.check_password("rita", PASSWORD)
    case = store.cases.open(rita, CaseDraft(slide=request.node.name))
    drawn = [colour_model.draw(tmp_path / f"c{n}.png", "SNE") for n in range(len(CODES))]
    images = [NewImage(path.name, path.read_bytes() + bytes([n]), 64, 64, "image/png") for n, path in enumerate(drawn)]
    store.cells.add_images(rita, case.id, images)
    store.predictions.write(case.id, predictions(CODES, FLAGS), ModelFacts("colours", "c" * 64))
    return case.slide


def open_case(page: Any, slide: str) -> None:
    page.click(f"#cases a:text-is('{slide}')")
    page.wait_for_selector(".tile")


def groups(page: Any) -> dict[str, int]:
    return {group.get_attribute("data-group"): group.locator(".tile").count() for group in page.locator(".group").all()}


def test_a_slide_is_looked_at_and_signed_by_keys(station: Any, sign_in: Callable[..., Any], slide: str) -> None:
    page = sign_in(station, "rita")
    open_case(page, slide)
    assert page.inner_text("#queue-seen") == f"0 of {QUEUE} seen"
    page.keyboard.press("Space")
    page.wait_for_selector("[data-group=look]")
    assert groups(page) == {"look": QUEUE}
    first = page.evaluate("document.activeElement.dataset.cell")
    assert first == "2"  # the unidentified one; the blast comes next
    page.keyboard.press("Space")
    page.wait_for_selector(f"#cell-{first}.seen:not(.pending)")
    assert groups(page) == {"look": QUEUE - 1, "looked": 1}
    assert page.inner_text("#queue-seen") == f"1 of {QUEUE} seen"
    assert page.evaluate("document.activeElement.dataset.cell") == str(len(CODES))
    page.keyboard.press("s")  # another class: seen, too
    page.wait_for_selector("#said:has-text('1 cell is now: Segmented neutrophil')")
    assert page.inner_text("#queue-seen") == f"2 of {QUEUE} seen"
    page.keyboard.press("Control+z")
    page.wait_for_selector("#said:has-text('Undone for 1 cell')")
    assert page.inner_text("#queue-seen") == f"1 of {QUEUE} seen"
    page.keyboard.press("Control+z")
    page.wait_for_selector("#queue-seen:text-is('0 of 8 seen')")
    page.keyboard.press("Control+a")
    page.keyboard.press("Space")
    page.wait_for_selector(f"#said:has-text('{QUEUE} cells confirmed')")
    assert page.evaluate("document.activeElement.id") == "to-sign"
    page.keyboard.press("Enter")
    page.wait_for_selector("#seen:has-text('To look at: 8 of 8 cells seen')")
    page.wait_for_selector("#reviewed:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sign:focus")
    assert page.evaluate("scrollY") == 0
    page.wait_for_selector(
        "#count + *, .notes:has-text('Cells seen by a reader: 8 of 66; of the 8 cells to look at, 8.')"
    )
    assert "Uncertain cells that keep the model’s class: 1, of which a reader confirmed 1." in page.inner_text(".notes")


def test_what_no_reader_saw_is_not_reviewed(station: Any, sign_in: Callable[..., Any], slide: str) -> None:
    page = sign_in(station, "rita", locale="fr-FR")
    open_case(page, slide)
    page.click("#to-sign")
    page.click("#reviewed")
    page.wait_for_selector(f"#wrong:has-text('{QUEUE} sur {QUEUE}')")
    page.click("#seen a")
    page.wait_for_selector("[data-group=look] .tile:focus")
    page.click("#view-classes")
    page.wait_for_selector(".group[data-code=LY]")
    assert page.inner_text("#queue-seen") == f"0 vues sur {QUEUE}"
    assert [text for text in page.wrong if "40" not in text] == []
    page.wrong.clear()


def test_cells_that_were_not_on_the_screen_are_not_confirmed(
    station: Any, sign_in: Callable[..., Any], slide: str
) -> None:
    page = sign_in(station, "rita", viewport={"width": 1280, "height": 420})
    open_case(page, slide)
    page.click(".group[data-code=SNE] .tile >> nth=0")
    page.keyboard.press("Control+a")
    assert page.inner_text("#chosen") == "39 cells chosen"
    page.click("#confirm")
    page.wait_for_selector("#wrong:has-text('not on the screen yet')")
    page.wait_for_selector(".tile.seen:not(.pending)")
    page.wait_for_selector(".tile.pending", state="detached")
    assert 0 < page.locator(".tile.seen").count() < 39
