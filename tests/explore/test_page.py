"""The page holds all it needs, lets nothing else run, and Plotly knows every word of its plots."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.progress import silent
from leukopy.explore.collection import collect
from leukopy.explore.content import page_content
from leukopy.explore.findings import explore_collection
from leukopy.explore.inputs import open_inputs
from leukopy.explore.page import PageContent, plotly_script, write_page

HOSTILE = '</script><script>alert("1")</script><img src=x onerror=alert(2)>&{{7*7}}'


class Elements(HTMLParser):
    """Every element that a browser would make, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


@pytest.fixture
def content(draw_cells: Callable[..., list[str]], build_bundle, tmp_path: Path) -> PageContent:
    """Two laboratories, one of them with a hostile name, and a file that is no image."""
    draw_cells(tmp_path / "one", {"LY": 9, "EO": 3, "SNE": 2})
    draw_cells(tmp_path / "two", {"LY": 3}, look=5)
    (tmp_path / "two" / "LY" / "letter <b>.png").write_text("not a picture")
    listed = open_inputs([str(tmp_path / "one"), str(tmp_path / "two")])
    listed = listed.with_columns(pl.col("source", "cell_id").str.replace("two", HOSTILE, literal=True))
    collection = collect(listed, "fine", silent)
    bundle = open_bundle(build_bundle(tmp_path / "bundle"))
    findings = explore_collection(collection, bundle, points=100, seed=0, progress=silent)
    return page_content(findings, title=HOSTILE, per_group=2, seed=0, provenance={"created": "today"})


@pytest.fixture
def page(content: PageContent, tmp_path: Path) -> str:
    write_page(tmp_path / "report.html", content)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_plotly_knows_every_word_of_every_plot(content: PageContent) -> None:
    from plotly.graph_objects import Figure

    assert list(content.figures) == ["classes", "sizes", "light", "rgb", "profiles", "stains", "shape", "projections"]
    for figure in content.figures.values():
        assert Figure({"data": figure.data, "layout": figure.layout}).data
        assert figure.reading.endswith(".")


def test_every_choice_of_a_plot_fits_its_traces(content: PageContent) -> None:
    choices = [
        (figure, button, values)
        for figure in content.figures.values()
        for menu in figure.layout["updatemenus"]
        for button in menu["buttons"]
        for values in button["args"][0].values()
    ]
    assert len(choices) > 10
    for figure, button, values in choices:
        assert len(values) == len(figure.data), (figure.name, button["label"])


def test_the_projections_hold_each_cell_of_the_sample_once(content: PageContent) -> None:
    rows = [row for trace in content.figures["projections"].data for row in trace["customdata"]]
    assert sorted(rows) == list(range(len(content.sample))) == list(range(17))
    menus = content.figures["projections"].layout["updatemenus"]
    labels = [button["label"] for menu in menus for button in menu["buttons"]]
    assert labels == [
        "pixels: PCA",
        "pixels: LDA",
        "embeddings: PCA",
        "embeddings: LDA",
        "colour: class",
        "colour: source",
    ]


def test_only_its_own_two_scripts_may_run_and_nothing_is_fetched(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy[1].replace("&#39;", "'")
    assert "default-src &#39;none&#39;" in policy[1]
    assert "script-src &#39;sha256" in policy[1]
    assert page.count(plotly_script()) == 1


def test_hostile_names_are_text_and_nothing_is_fetched(page: str) -> None:
    parser = Elements()
    parser.feed(page)
    assert [tag for tag, _ in parser.found].count("script") == 3  # the data, plotly, and what draws
    for tag, attributes in parser.found:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "href") or (value or "").startswith(("data:image/", "#")), (tag, value)
            assert name != "style" or not re.search(r"url\((?!data:image/)", value or ""), (tag, value)
    assert f"<h1>{escape(HOSTILE, quote=False)}</h1>" in page.replace("&#34;", '"')
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, flags=re.DOTALL)
    assert data
    assert len(json.loads(data[1])) == 8


def test_it_says_what_it_is_for_and_what_was_not_read(page: str) -> None:
    assert "Research use only" in page
    assert "letter &lt;b&gt;.png" in page
    assert "1 image could not be read" in page
    assert "CIE 1931" in page
