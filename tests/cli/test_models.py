"""``leukopy model``: cards that people read, and the same as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from leukopy.bundle import bundled_models, store
from leukopy.cli.main import app
from leukopy.core.provenance import RESEARCH_USE_ONLY


@pytest.fixture
def shipped(build_bundle, tmp_path, monkeypatch):
    """A package that ships one model."""
    build_bundle(tmp_path / "assets" / "colours")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("shipped")
def test_list_names_what_ships():
    assert bundled_models() == ["colours"]
    result = CliRunner().invoke(app, ["model", "list"])
    assert result.exit_code == 0
    for told in ("colours", "Nearest class colour", "32 x 32 px", "Apache-2.0"):
        assert told in result.stdout


@pytest.mark.usefixtures("shipped")
def test_show_tells_what_must_be_known():
    result = CliRunner().invoke(app, ["model", "show", "colours"])
    assert result.exit_code == 0
    for told in (
        RESEARCH_USE_ONLY,
        "SNE BNE EO BA LY MO MMY MY PMY ERB PLT",
        "0.500, fitted on nothing",
        "drawn colours",
    ):
        assert told in result.stdout


@pytest.mark.usefixtures("shipped")
def test_show_as_json_is_the_card():
    result = CliRunner().invoke(app, ["model", "show", "colours", "--json"])
    assert json.loads(result.stdout)["thresholds"]["uncertain_below"] == 0.6


def test_show_takes_a_folder_too(colour_model):
    assert CliRunner().invoke(app, ["model", "show", str(colour_model.path)]).exit_code == 0


@pytest.mark.usefixtures("shipped")
def test_an_unknown_model_is_one_line():
    result = CliRunner().invoke(app, ["model", "show", "nowhere"])
    assert result.exit_code == 1
    assert result.stderr.startswith("leukopy: nowhere: no model of this name")
    assert "bundled models: colours" in result.stderr
