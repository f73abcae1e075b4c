"""Every door gives the same rows for the same images: the Python API, ``predict`` and ``analyze``."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import leukopy
from leukopy.cli.main import app
from leukopy.inference.rows import CellInput
from leukopy.slides.review_order import REVIEW_RANK
from leukopy.workflows.draw import DrawSettings, draw
from leukopy.workflows.explain import ExplainSettings, explain


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn slide with one file that is no image."""
    folder = draw(DrawSettings(per_class=2, size=200), tmp_path_factory.mktemp("slide") / "drawn").cells
    (folder / "notes.jpg").write_text("not an image")
    return folder


def test_api_predict_and_analyze_agree(slide: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["predict", str(slide), "--out", str(tmp_path / "rows.parquet")]).exit_code == 3
    assert CliRunner().invoke(app, ["analyze", str(slide), "--out", str(tmp_path / "run")]).exit_code == 3
    predicted = pl.read_parquet(tmp_path / "rows.parquet")
    analysed = pl.read_parquet(tmp_path / "run" / "cells.parquet").drop(REVIEW_RANK)
    assert len(predicted) == 22
    assert predicted.equals(analysed)

    files = sorted(slide.iterdir())
    called = leukopy.load("default").predict(files)
    assert called.cells.drop("cell_id").equals(analysed.drop("cell_id"))
    assert called.failures["reason"].to_list() == ["not_an_image"]


def test_what_is_explained_is_what_is_predicted(slide: Path, tmp_path: Path) -> None:
    files = sorted(slide.glob("*.png"))
    settings = ExplainSettings(inputs=(slide,), methods=("cam",), views=1, steps=0, neighbours=0)
    explained = pl.read_csv(explain(settings, tmp_path / "maps").folder / "explanations.csv")
    predicted = leukopy.load("default").predict(files).cells
    assert explained["fine"].to_list() == predicted["fine"].to_list()
    assert explained["confidence"].to_numpy() == pytest.approx(predicted["confidence"].to_numpy(), abs=1e-4)
    assert explained["flags"].fill_null("").to_list() == predicted["flags"].to_list()


def test_one_cell_at_a_time_gives_the_same_classes(slide: Path) -> None:
    """How cells are batched and on how many threads changes nothing that is read, once their slide is known."""
    files = sorted(slide.glob("*.png"))
    together = leukopy.load("default").predict(files).cells
    one_by_one = leukopy.load("default")
    cells = [CellInput(str(file), str(file)) for file in files]
    known = one_by_one.slide(cells)
    alone = pl.concat([part.cells for cell in cells[:6] for part in known.rows([cell])])
    assert alone["fine"].equals(together["fine"][:6])
    assert alone["confidence"].to_numpy() == pytest.approx(together["confidence"][:6].to_numpy(), abs=1e-4)
