"""The model that ships: whole, documented, within their size, and good at what they are for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import leukopy
from leukopy.bundle import bundled_models, open_bundle
from leukopy.datasets import open_dataset
from leukopy.datasets.wbcatt import read_wbcatt
from leukopy.inference.rows import CellInput
from leukopy.slides.classifier import Classifier
from leukopy.slides.laboratory_check import AppearanceSum, nearest_laboratory
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import ATTRIBUTES, find
from leukopy.workflows.demo import DemoSettings, demo
from support.files import CONFIGS

MAIN_JOB = """
import sys
for absent in ("torch", "torchvision", "timm", "lightning", "onnx", "onnxscript"):
    sys.modules[absent] = None  # importing one raises ImportError
from leukopy.cli.main import main
main()
"""


def test_it_ships_and_fits() -> None:
    assert bundled_models() == ["default"]
    assert open_bundle("default").model_path.stat().st_size <= 20_000_000


def test_its_card_says_what_it_is() -> None:
    card = open_bundle("default").card
    assert {"PBC", "drawn"} <= {word for data in card.trained_on for word in data.name.replace("(", " ").split()}
    assert all(data.licence and data.citation and data.images for data in card.trained_on)
    assert card.limits
    assert "Research use only" in card.intended_use
    tested = [metric for metric in card.metrics if "split test" in metric.data]
    assert tested, "no figure on a test split: leukopy evaluate … --into-card"
    assert all(metric.command.startswith("leukopy evaluate") for metric in tested)


def test_probabilities_are_coherent(tmp_path: Path) -> None:
    result = demo(DemoSettings(fields=8, seed=5), tmp_path / "demo")
    cells = pl.read_parquet(result.analysis.folder / "cells.parquet")
    every = cells.select(f"p_{code}" for code in open_bundle("default").card.answers).to_numpy()
    assert every.sum(axis=1) == pytest.approx(np.ones(cells.height), abs=1e-5)
    assert cells["p_NEU"].to_numpy() == pytest.approx((cells["p_SNE"] + cells["p_BNE"]).to_numpy(), abs=1e-5)
    assert all(find(fine).coarse == coarse for fine, coarse in cells.select("fine", "coarse").iter_rows())


def test_a_slide_that_looks_like_none_is_told(tmp_path: Path) -> None:
    for index in range(30):
        drawn = draw_cell("LY", seed=index, size=120).image.astype(float)
        Image.fromarray((drawn * (0.3, 0.9, 0.3)).astype(np.uint8)).save(tmp_path / f"{index}.png")
    found = leukopy.load("default").predict(sorted(tmp_path.glob("*.png")))
    look = AppearanceSum()
    look.add(found.appearance)
    distance = nearest_laboratory(look, open_bundle("default").card.slide_check)
    assert distance is not None
    assert distance.distance > 2


def test_the_classes_of_a_slide_are_found_from_its_own_cells(tmp_path: Path) -> None:
    paths = []
    for index in range(24):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(draw_cell(("LY", "EO", "SNE")[index % 3], seed=index).image).save(paths[-1])
    classifier, slide = leukopy.load("default"), [CellInput(path.name, str(path)) for path in paths]
    assert classifier.slide(slide[:19]).survey.classes is None  # too few to tell
    facts = classifier.slide(slide).survey.facts()
    known = sum(facts["class_cells"].values())
    assert 20 <= known <= 24  # those that it finds strange are left out
    assert {code for code, count in facts["class_cells"].items() if count > 4} == {"LY", "EO", "NEU"}
    for index in range(8):  # pictures without a cell are no part of any class
        slide.append(CellInput(f"empty {index}", str(tmp_path / f"empty{index}.png")))
        Image.fromarray(np.full((300, 300, 3), 225 + index, np.uint8)).save(slide[-1].path)
    assert sum(classifier.slide(slide).survey.facts()["class_cells"].values()) == pytest.approx(known, abs=2)


def test_in_the_laboratory_that_validated_it_a_cell_is_judged_by_itself(real_data: Path) -> None:
    cells = open_dataset("pbc", real_data / "cells" / "pbc").filter(split="val")[::20]
    bundle = open_bundle("default")
    alone = Classifier(replace(bundle, card=bundle.card.model_copy(update={"slide_classes": None})))
    whole, single = (one.predict(cells["path"].to_list()).cells["coarse"] for one in (Classifier(bundle), alone))
    assert (whole == single).mean() > 0.98


@pytest.mark.slow
def test_drawn_cells_are_read(tmp_path: Path) -> None:
    result = demo(DemoSettings(fields=20, seed=11), tmp_path / "demo")
    drawn = sum(result.drawn.values())
    assert result.located >= 0.9 * drawn
    assert result.right_coarse >= 0.9 * result.located
    assert result.analysis.failures == 0


def test_the_main_job_needs_no_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN_JOB, "demo", "--fields", "2", "--out", str(tmp_path / "demo")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "demo" / "results" / "report.html").stat().st_size > 10_000
    recipe = CONFIGS / "lenet8.yaml"
    train = [sys.executable, "-c", MAIN_JOB, "train", str(recipe), "--out", str(tmp_path / "run")]
    refused = subprocess.run(train, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "pip install 'leukopy[train]'" in refused.stderr


@pytest.mark.real_data
def test_real_validation_cells_are_read(real_data: Path) -> None:
    """A quick guard; the figures themselves come from `leukopy evaluate` on the test split."""
    cells = open_dataset("pbc", real_data / "cells" / "pbc").filter(split="val").sample(200, seed=0)
    found = leukopy.load("default").predict(cells["path"].to_list()).cells
    coarse = [find(code).coarse for code in cells["code"]]
    assert np.mean([a == b for a, b in zip(coarse, found["coarse"], strict=True)]) >= 0.95


@pytest.mark.real_data
def test_real_validation_cells_are_told_in_words(real_data: Path) -> None:
    """A quick guard; the figures themselves come from `benchmarks/attributes.py` on WBCAtt's test part."""
    cells = read_wbcatt(real_data / "cells" / "wbcatt", open_dataset("pbc", real_data / "cells" / "pbc"))
    cells = cells.filter(part="val").sample(150, seed=0)
    found = leukopy.load("default").predict(cells["path"].to_list()).cells
    spoken = found["why"].is_not_null()  # a cell taken for an immature one has no attributes
    assert spoken.mean() > 0.95
    right = [(found[f"attr_{each.name}"] == cells[each.name]).filter(spoken).mean() for each in ATTRIBUTES]
    assert np.mean(right) > 0.88
    eosinophils = found.filter(spoken & (cells["code"] == "EO"))
    assert eosinophils["why"].str.contains("red granules").mean() > 0.9
