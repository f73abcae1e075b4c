"""The daily quality page, and two slides of one patient, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import CaseDraft, Correction, Corrections
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage
from leukopy.slides.laboratory_check import SlideDistance
from support.passwords import PASSWORD
from support.predicted import predictions
from support.waiting import hold

CODES = ("SNE",) * 6 + ("LY",) * 4


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """Two slides of one patient, both signed; a reader corrected one cell of the first."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(folder=folder / "s", serve=True, model=str(colour_model.path), before_signing="nothing")
    with station_of(settings) as running:
        rita = running.store.users.check_password("rita", PASSWORD)
        picture = colour_model.draw(folder / "a.png", "SNE").read_bytes()
        for slide in ("one", "two"):
            case = running.store.cases.open(rita, CaseDraft(slide=slide, patient="Kim"))
            images = [NewImage(f"{n}.png", picture + f"{slide}{n}".encode(), 64, 64, "image/png") for n in range(10)]
            running.store.cells.add_images(rita, case.id, images)
            running.store.predictions.write(case.id, predictions(CODES), ModelFacts("colours", "c" * 64))
            running.store.predictions.set_slide_distance(case.id, SlideDistance(1.4, "Barcelona", 10))
            if slide == "one":
                change = Corrections(changes=(Correction(cell=1, version=1, code="LY"),))
                running.store.corrections.correct(rita, case.id, change)
        yield running


def sign_all(page: Any, station: Any) -> None:
    for slide in ("one", "two"):
        page.goto(station.address)
        page.click(f"#cases a:text-is('{slide}')")
        page.wait_for_selector(".tile")
        page.click("#to-sign")
        page.click("#reviewed")
        page.click("#sign")
        page.fill("#confirm [name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#said:has-text('signed')")


def test_agreement_day_by_day_and_the_drift_of_slides_are_shown_and_chosen(
    station: Any, sign_in: Callable[..., Any]
) -> None:
    page = sign_in(station, "rita")
    sign_all(page, station)
    page.click("text=Quality")
    page.wait_for_selector("#daily-days td:has-text('95.0')")
    assert page.locator("#daily-chart circle").count() == 1
    assert "Rita Moreau" in page.inner_text("#daily-readers")
    assert "colours cccccccccccc" in page.inner_text("#daily-models")
    assert "1.40" in page.inner_text("#drift-days")
    page.check("#daily-form [name=seen_only]")
    page.wait_for_selector("#daily-days td:has-text('0.0')")
    late = hold(page, "**/agreement/daily", lambda: page.uncheck("#daily-form [name=seen_only]"))
    page.select_option("#daily-form [name=code]", "LY")
    page.wait_for_selector("#daily-days td:has-text('88.9')")  # 8 of 9
    with page.expect_response("**/agreement/daily"):
        late.continue_()
    page.wait_for_selector("html:not(.busy)")
    assert "88.9" in page.inner_text("#daily-days")
    page.goto(f"{station.address}/quality")
    page.wait_for_selector("#daily:visible")


def test_two_slides_of_a_patient_are_compared_and_merged(station: Any, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita", locale="fr-FR")
    page.click("#cases a:text-is('one')")
    page.click("#to-sign")
    comparison = hold(page, "**/comparison/*", lambda: page.click("text=Autres lames du patient"))
    assert page.is_disabled("#merge-form button")
    comparison.continue_()
    page.wait_for_selector("#lines [data-line=LY]")
    assert "5\n" in page.inner_text("#lines [data-line=LY]").replace("\t", "\n")
    assert "Kim" not in page.url
    assert page.input_value("#merge-form [name=slide]") == "one + two"
    page.click("#merge-form button")
    page.wait_for_selector(".tile")
    assert page.inner_text("#slide") == "one + two"
    assert page.locator(".tile").count() == 20
    assert station.store.audit.verify().intact
