"""Alone on this computer: an address that lets in once, and results of ``leukopy analyze`` taken over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.settings import ReviewSettings
from leukopy.workflows.analyze import AnalyzeSettings, analyze


@pytest.fixture
def analysed(tmp_path: Path, colour_model: Any) -> Path:
    """The result of an analysis of 22 plain pictures."""
    colour_model.draw_folder(tmp_path / "cells", 22)
    analyze(AnalyzeSettings(input=tmp_path / "cells", model=str(colour_model.path)), tmp_path / "result")
    return tmp_path / "result"


@pytest.fixture
def station(tmp_path: Path, colour_model: Any, station_of: Callable[..., Any]) -> Iterator[Any]:
    with station_of(ReviewSettings(folder=tmp_path / "station", model=str(colour_model.path))) as running:
        yield running


def test_one_user_comes_in_once_and_takes_a_result_over(station: Any, browser: Any, analysed: Path) -> None:
    address = f"{station.address}/?token={station.token}"
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    page = context.new_page()
    page.goto(address)
    assert page.url == f"{station.address}/"  # the token leaves the address bar
    page.wait_for_selector("#empty:visible")
    page.click("#empty .new-case")
    page.fill("#new-case [name=slide]", "taken over")
    page.click("#new-case details summary")
    page.fill("#new-case [name=folder]", str(analysed))
    page.click("#new-case button.main")
    page.wait_for_selector("#cases:has-text('22 cells')")
    page.click("#cases a")
    page.wait_for_selector(".tile")
    heads = "[...document.querySelectorAll('.group-head .figure')].map((head) => parseInt(head.textContent))"
    assert sum(page.evaluate(heads)) == 22  # tiles far from the screen are not in the page
    assert page.locator("#leave").count() == 0
    context.close()
    stranger = browser.new_context(locale="en-GB").new_page()
    stranger.goto(address)
    assert "lets you in once" in stranger.inner_text(".login")
    stranger.context.close()
