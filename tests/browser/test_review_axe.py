"""axe-core finds nothing on any page of the review station, in any state that a reader meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra 'dev')")

from axe_playwright_python.sync_playwright import Axe

from leukopy.review.records import CaseDraft, Correction, Corrections
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from support.passwords import PASSWORD
from support.predicted import predictions

CODES = ("SNE",) * 6 + ("LY",) * 3 + ("BLAST", None, "BNE")
FLAGS = ("uncertain", "unidentified", *[""] * 8, "no_cell", "")
EXPERIMENTAL = {"rules": {"label-content-name-mismatch": {"enabled": True}}}


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """With a draft that holds every group of cells, one of them with a comment."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(folder=folder / "station", serve=True, model=str(colour_model.path))
    with station_of(settings) as running:
        ada = running.store.users.check_password("ada", PASSWORD)
        case = running.store.cases.open(ada, CaseDraft(slide="axe", patient="P-1", leukocytes=7.5))
        drawn = [colour_model.draw(folder / f"c{n}.png", "SNE") for n in range(len(CODES))]
        images = [
            NewImage(path.name, path.read_bytes() + bytes([n]), 64, 64, "image/png") for n, path in enumerate(drawn)
        ]
        running.store.cells.add_images(ada, case.id, images)
        running.store.predictions.write(case.id, predictions(CODES, FLAGS), ModelFacts("colours", "c" * 64))
        running.store.corrections.correct(
            ada, case.id, Corrections(changes=(Correction(cell=7, version=1, code="MO"),))
        )
        yield running


def findings(page: Any) -> list[str]:
    page.wait_for_load_state("networkidle")
    found = Axe().run(page, options=EXPERIMENTAL).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    ("language", "options"),
    [("en-GB", {}), ("fr-FR", {"color_scheme": "dark", "viewport": {"width": 820, "height": 1180}})],
)
def test_axe_finds_nothing(station: Any, sign_in: Callable[..., Any], language: str, options: dict[str, Any]) -> None:
    page = sign_in(station, "ada", locale=language, **options)
    found = {"work list": findings(page)}
    page.click(".page-head .new-case")
    found["new case"] = findings(page)
    page.keyboard.press("Escape")
    page.click("#cases a")
    page.wait_for_selector(".tile")
    gallery = page.url
    found["gallery"] = findings(page)
    page.locator(".tile").first.dblclick()
    page.wait_for_selector("#probabilities li")
    found["cell"] = findings(page)
    page.goto(f"{gallery}#queue")
    page.reload()
    page.wait_for_selector("[data-group=look]")
    found["queue"] = findings(page)
    page.keyboard.press("?")
    found["help"] = findings(page)
    page.goto(f"{gallery}/sign")
    page.wait_for_selector("#count tr")
    found["sign"] = findings(page)
    for name in ("quality", "administration"):
        page.goto(f"{station.address}/{name}")
        found[name] = findings(page)
    page.click("#leave")
    page.wait_for_selector("#login")
    found["log-in"] = findings(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
