"""A slide unlike all that the model has learnt: who reads and who signs is told, in the language of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.bundle import LaboratoryAppearance, SlideCheck, open_bundle, write_bundle
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.workflows.analyze import AnalyzeSettings, analyze


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, colour_model: Any, station_of: Callable[..., Any]
) -> Iterator[Any]:
    """With two cases of 22 cells: one that the model tells to be far from its laboratory, one of which it is silent."""
    folder = tmp_path_factory.mktemp("strange")
    colour_model.draw_folder(folder / "cells", 22)
    bundle = open_bundle(colour_model.path)
    far = LaboratoryAppearance(name="Afar", images=9, mean=(9.0,) * 8, covariance=tuple(map(tuple, np.eye(8).tolist())))
    check = SlideCheck(
        measures=APPEARANCE_FEATURES, laboratories=(far,), classes={}, between=0.4, limit=20, method="for tests"
    )
    card = bundle.card.model_copy(update={"slide_check": check})
    strange = write_bundle(folder / "model", card, bundle.model_path.read_bytes())
    for model, name in ((bundle.path, "usual"), (strange.path, "strange")):
        analyze(AnalyzeSettings(input=folder / "cells", model=str(model)), folder / name)
    settings = ReviewSettings(folder=folder / "station", serve=True, model=str(strange.path))
    with station_of(settings) as running:
        for name in ("usual", "strange"):
            import_as_case(running.store, running.store.users.single_user(), CaseDraft(slide=name), folder / Path(name))
        yield running


@pytest.mark.parametrize(
    ("locale", "list_words", "page_words"),
    [
        ("en-GB", "unlike the training data: ", "Stain or scanner unlike the training data: distance "),
        (
            "fr-FR",
            "différent de l’apprentissage\xa0: ",
            "Coloration ou scanner différents des données d’apprentissage",
        ),
    ],
)
def test_it_stands_in_the_list_over_the_gallery_and_before_the_signature(
    station: Any, sign_in: Callable[..., Any], locale: str, list_words: str, page_words: str
) -> None:
    page = sign_in(station, "rita", locale=locale)
    page.wait_for_selector("#cases tr")
    rows = {row.query_selector("th").inner_text(): row.inner_text() for row in page.query_selector_all("#cases tr")}
    assert list_words in rows["strange"]
    assert list_words not in rows["usual"]
    for slide, told in (("strange", True), ("usual", False)):
        page.goto(station.address)
        page.click(f"#cases a:text-is('{slide}')")
        page.wait_for_selector(".tile")
        gallery = page.url
        for address in (gallery, f"{gallery}/sign"):
            page.goto(address)
            page.wait_for_selector(".notes li")
            assert page.is_visible("#unlike") is told
            if told:
                assert page.inner_text("#unlike").startswith(page_words)
                assert "Afar" in page.inner_text("#unlike")
            assert (page_words in page.inner_text(".notes >> nth=0")) is told
