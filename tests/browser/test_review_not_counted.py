"""Images that no count holds: their own group of the gallery, with a reason; a reader may give them a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage

ROWS = (
    ("LY", ""),
    ("LY", ""),
    (None, "no_cell"),
    (None, "several_cells"),
    ("LY", ""),
    ("SNE", "unidentified"),
)
GROUPS = ".not-counted .group"


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """With a case of ``ROWS``."""
    folder = tmp_path_factory.mktemp("station")
    with station_of(ReviewSettings(folder=folder / "station", serve=True, model=str(colour_model.path))) as running:
        store = running.store
        rita = store.users.check_password("rita", "correct horse battery")
        case = store.cases.open(rita, CaseDraft(slide="mixed"))
        drawn = [colour_model.draw(folder / f"c{number}.png", code or "SNE") for number, (code, _) in enumerate(ROWS)]
        images = [NewImage(path.name, path.read_bytes(), 64, 64, "image/png") for path in drawn]
        images[4] = replace(images[4], data=images[0].data)
        store.cells.add_images(rita, case.id, images)
        store.predictions.write(case.id, predictions(), ModelFacts("colours", "c" * 64))
        yield running


def predictions() -> Predictions:
    rows = []
    for number, (code, flags) in enumerate(ROWS, start=1):
        values: dict[str, object] = {name: 0.0 if kind == pl.Float32 else "" for name, kind in CELL_SCHEMA.items()}
        values |= {"cell_id": str(number), "coarse": code, "fine": code, "flags": flags, "width": 64, "height": 64}
        rows.append(values | {"fine_confidence": 0.9 if code else None, f"p_{code or 'LY'}": 0.9})
    return Predictions(pl.DataFrame(rows, schema=CELL_SCHEMA), pl.DataFrame(schema=FAILURE_SCHEMA))


def groups(page: Any) -> list[str]:
    page.wait_for_selector(".tile")
    return [group.inner_text() for group in page.query_selector_all(f"{GROUPS} .group-head")]


def test_images_that_are_not_counted_stand_in_groups_of_their_own(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita")
    page.click("#cases a:text-is('mixed')")
    assert [" ".join(words.split()) for words in groups(page)] == [
        "Unidentified 1 cell", "No cell 1 cell", "Several cells 1 cell", "Duplicates 1 cell",
    ]  # fmt: skip
    assert page.inner_text(".not-counted .apart-head") == "Not counted"
    assert page.inner_text(".class[data-code=LY] .figure") == "2"
    assert page.inner_text("#count tr[data-line=NO_CELL]").split() == ["No", "cell", "1", "not", "counted"]
    assert page.get_attribute("#cell-3", "aria-label") == "Cell 3 no class, Not counted, no cell"
    page.click("#cell-3")
    page.keyboard.press("l")
    page.wait_for_selector("#said:has-text('1 cell is now: Lymphocyte')")
    assert page.inner_text(".class[data-code=LY] .figure") == "3"
    assert page.query_selector(".group[data-code=LY] #cell-3 .note").inner_text() == "was no class"
    page.click("#cell-5")
    page.keyboard.press("m")
    page.wait_for_selector("#said:has-text('1 cell is now: Monocyte')")
    assert page.query_selector(".group[data-group=duplicate] #cell-5") is not None
    assert page.inner_text(".class[data-code=MO] .figure") == ""
    for _ in range(2):
        page.click("#undo")
        page.wait_for_selector("#said:has-text('Undone')")
    page.wait_for_selector(".group[data-group=no_cell] #cell-3")
    assert page.inner_text(".class[data-code=LY] .figure") == "2"
    page.dblclick("#cell-4")
    page.wait_for_selector("#cell:visible")
    assert page.inner_text("#cell-said") == "The model gives no class: the image holds no single cell."


def test_the_groups_are_named_in_french(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita", locale="fr-FR")
    page.click("#cases a:text-is('mixed')")
    assert [words.split("\n")[0].strip() for words in groups(page)] == [
        "Non identifiées", "Sans cellule", "Plusieurs cellules", "Doublons",
    ]  # fmt: skip
    assert page.inner_text(".not-counted .apart-head") == "Non comptées"
