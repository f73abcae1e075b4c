"""The page of an exploration in a real browser: every plot is drawn, answers the mouse, and is legible in the dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leukopy.synthesis import random_appearance
from leukopy.workflows.explore import ExploreSettings, explore
from support.drawn import draw_classes
from support.waiting import until

MARKS = {
    "classes": ".barlayer .point path",
    "sizes": ".scatterlayer .point",
    "light": ".boxlayer path.box",
    "rgb": ".barlayer .point path",
    "profiles": ".scatterlayer path.js-line",
    "stains": ".boxlayer path.box",
    "shape": ".boxlayer path.box",
    "projections": ".scatterlayer .point",
}
"""What each plot is drawn with."""
CELLS = {"SNE": 6, "EO": 6, "LY": 6}

LEGIBLE = """
() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return Math.min(...[...document.querySelectorAll('.plot text')]
    .filter((text) => !text.closest('.hoverlayer'))
    .map((text) => light(getComputedStyle(text).fill))
    .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
}
"""
"""The least contrast of any text of any plot with the paper (WCAG 2.1)."""


@pytest.fixture(scope="module")
def report(build_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two drawn laboratories."""
    folder = tmp_path_factory.mktemp("explored")
    for lab, look in (("alpha", None), ("beta", random_appearance(5))):
        draw_classes(folder / lab, CELLS, appearance=look)
    settings = ExploreSettings(
        inputs=(str(folder / "alpha"), str(folder / "beta")), model=str(build_bundle(folder / "bundle"))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_CACHE", str(folder / "cache"))
        return explore(settings, folder / "out").report


def test_every_plot_is_drawn_within_the_page(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    for name, mark in MARKS.items():
        page.wait_for_selector(f"#{name} .main-svg", state="attached")
        assert page.locator(f"#{name} {mark}").count() > 0, name
        box = page.locator(f"#{name}").bounding_box()
        assert box["width"] > 900, name
        assert box["height"] > 150, name
    assert page.locator("#projections .scatterlayer .point").count() == 2 * sum(CELLS.values())
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.locator("img").count() > 20
    assert "Research use only" in page.locator(".banner").inner_text()


def test_method_and_colour_are_chosen_with_the_mouse(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    plot = page.locator("#projections")
    plot.scroll_into_view_if_needed()
    first = page.evaluate("document.getElementById('projections').data[0].x")
    plot.locator(".updatemenu-header").click()
    plot.locator(".updatemenu-dropdown-button", has_text="embeddings: LDA").click()
    until(lambda: page.evaluate("document.querySelector('#projections .xtitle').textContent === 'embeddings: LDA'"))
    assert page.evaluate("document.getElementById('projections').data[0].x") != first
    assert plot.locator(".legendtext").all_text_contents() == ["SNE", "EO", "LY"]
    plot.locator(".updatemenu-button", has_text="colour: source").click()
    until(lambda: page.evaluate("document.querySelector('#projections .legendtext').textContent === 'alpha'"))
    assert plot.locator(".legendtext").all_text_contents() == ["alpha", "beta"]
    assert page.evaluate("document.querySelector('#projections .xtitle').textContent") == "embeddings: LDA"


def test_no_button_uploads_a_chart(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    page.wait_for_selector("#projections .modebar-btn", state="attached")
    titles = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title)")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"}
    assert page.evaluate("document.getElementById('projections')._context.plotlyServerURL") == ""


def test_another_measure_is_chosen_with_the_mouse(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    plot = page.locator("#light")
    plot.locator(".updatemenu-button", has_text="brightness").click()
    until(lambda: page.evaluate("document.querySelector('#light .ytitle').textContent === 'brightness (L*, 0 to 100)'"))
    assert plot.locator("path.box").count() == 2 * len(CELLS)


def test_the_cell_under_the_pointer_is_shown(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    page.locator("#projections").scroll_into_view_if_needed()
    assert page.locator("#hovered").is_hidden()
    point = page.locator("#projections .scatterlayer .point").first.bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2 - 40, point["y"] + point["height"] / 2)
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2, steps=5)
    page.wait_for_selector("#hovered", state="visible")
    assert page.locator("#hovered span").inner_text().endswith(".png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_of_every_plot_are_legible(report: Path, open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(report, scheme)
    page.wait_for_selector("#projections .main-svg", state="attached")
    assert page.evaluate(LEGIBLE) >= 4.5
