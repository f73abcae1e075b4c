"""Fields of a report in a real browser: the keyboard steps through them, boxes lie on their cells and can be hidden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.fields.counts import count_objects
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.reports import gallery
from leukopy.reports.field_pictures import FieldPictures
from leukopy.reports.fields_page import FieldsContent
from leukopy.reports.object_labels import label_objects
from leukopy.reports.page import ReportContent, write_report
from leukopy.slides.differential_files import count_cells
from support.located import located_fields

SHOWN = "() => [...document.querySelectorAll('.view img')].filter((one) => one.checkVisibility()).map((one) => one.alt)"


@pytest.fixture(scope="module")
def report(colour_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three drawn fields."""
    located = located_fields(3)
    pictures = FieldPictures()
    for picture in located.pictures:
        pictures.add(picture, 8)
    cells = located.cells.lazy()
    path = tmp_path_factory.mktemp("fields") / "report.html"
    write_report(path, ReportContent(
        title="Drawn fields", cells=gallery.choose(cells, 0), first=located.cells.head(0), thumbnails={},
        totals=gallery.totals(cells),
        differential=count_cells(cells), failures=pl.DataFrame(schema=FAILURE_SCHEMA), failures_total=0,
        left_out=gallery.choose_left_out(cells), left_out_total=0, card=open_bundle(colour_model.path).card,
        provenance={}, fields=FieldsContent(
            count_objects(located.fields, located.objects, located.cells), located.fields,
            label_objects(located.objects, located.cells),
            pictures.of([one.source for one in located.pictures], lambda _: None)),
    ))  # fmt: skip
    return path


def test_arrow_keys_and_clicks_step_through_the_fields(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    names = [shown.split(":")[0] for shown in page.evaluate(SHOWN)]
    assert names == ["Field field_0001.png"]
    page.focus("#field-1")
    page.keyboard.press("ArrowDown")
    assert [shown.split(":")[0] for shown in page.evaluate(SHOWN)] == ["Field field_0002.png"]
    page.click("label[for=field-3]")
    assert [shown.split(":")[0] for shown in page.evaluate(SHOWN)] == ["Field field_0003.png"]


def test_boxes_lie_on_the_picture_and_can_be_hidden(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    picture = page.locator(".view img:visible").bounding_box()
    svg = page.locator(".view svg:visible").first.bounding_box()
    assert svg == pytest.approx(picture, abs=1)
    first = page.locator(".view:visible .leukocyte rect").first
    x, width = (float(first.get_attribute(name)) for name in ("x", "width"))
    box = first.bounding_box()
    assert box["x"] - picture["x"] == pytest.approx(x * picture["width"] / 640, abs=3)
    assert box["width"] == pytest.approx(width * picture["width"] / 640, abs=6)  # with its stroke
    assert page.locator(".red_cell rect:visible").count() > 10
    page.uncheck(".show-red_cell")
    assert page.locator(".red_cell rect:visible").count() == 0
    assert first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_reaches_beyond_the_window(
    report: Path, open_page: Callable[..., Any], scheme: str, width: int
) -> None:
    page = open_page(report, scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".view img:visible").bounding_box()["width"] > 0.6 * width
