from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from leukopy.bundle import Metric, bundled_models, open_bundle
from leukopy.bundle.red_cell_shapes import bundled_red_cell_shapes, open_red_cell_shapes
from leukopy.cli.main import app
from leukopy.reports.model_card import model_card
from leukopy.reports.red_cell_shapes_card import red_cell_shapes_card
from support.files import REPOSITORY

PAGES = REPOSITORY / "docs" / "models"


@pytest.mark.parametrize("name", bundled_models())
def test_the_page_in_the_docs_is_what_the_bundle_says(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page == model_card(open_bundle(name).card), f"leukopy model show {name} --markdown > docs/models/{name}.md"


def test_every_figure_limit_and_licence_is_on_it() -> None:
    card = open_bundle("default").card
    page = model_card(card)
    for limit in card.limits:
        assert f"- {limit}\n" in page
    for use in (*card.trained_on, card.attributes.trained_on):
        assert use.licence in page
        assert f"| {use.images:,} |" in page
    for metric in (*card.metrics, *card.attributes.metrics):
        assert f"{metric.value:.3f}" in page
    assert card.intended_use in page
    recipe = page.split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(recipe) == json.loads(json.dumps(card.recipe))


def test_hostile_words_stay_in_their_cell(colour_model) -> None:
    card = open_bundle(colour_model.path).card
    metric = Metric(name="a | b\n<script>", value=0.5, data="c")
    page = model_card(card.model_copy(update={"metrics": (metric,)}))
    assert "| a \\| b &lt;script> | 0.500 | c |" in page


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["model", "show", "default", "--markdown"])
    assert result.output == (PAGES / "default.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["model", "show", "--markdown", "--json"]).exit_code == 2


@pytest.mark.parametrize("name", bundled_red_cell_shapes())
def test_the_page_of_red_cell_shapes_is_what_the_bundle_says(name: str) -> None:
    page = (PAGES / "red_cell_shapes.md").read_text(encoding="utf-8")
    card = open_red_cell_shapes(name).card
    assert page == red_cell_shapes_card(card)
    assert card.notice in page
    for limit in card.limits:
        assert f"- {limit}\n" in page
    for metric in card.metrics:
        assert f"{metric.value:.3f}" in page
