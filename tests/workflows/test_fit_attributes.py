"""Attribute heads from tables to a bundle: the classes stay as they are, the figures are of cells never fitted on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import leukopy
from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import OutputError, SettingsError, TrainingError
from leukopy.inference import file_activations
from leukopy.inference.rows import ATTRIBUTE_SCHEMA
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import ATTRIBUTES
from leukopy.workflows.fit_attributes import AttributeSettings, fit_attributes, measure

pytestmark = pytest.mark.slow

CELLS = {"train": 24, "val": 8, "test": 8}
QUICK = {"epochs": 30, "batch_size": 8, "hidden": 16, "dropout": 0.0, "learning_rate": 0.01}


def values(code: str) -> dict[str, str]:
    """Every attribute of an eosinophil has its last value, of a lymphocyte its first: a thing that can be learnt."""
    return {attribute.name: attribute.values[-1 if code == "EO" else 0] for attribute in ATTRIBUTES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small PBC of drawn cells and a WBCAtt of it; one training picture is broken."""
    root = tmp_path_factory.mktemp("data")
    for folder in ("pbc/eosinophil", "pbc/lymphocyte", "wbcatt"):
        (root / "cells" / folder).mkdir(parents=True)
    seed = 0
    for part, count in CELLS.items():
        rows = []
        for _ in range(count):
            seed += 1
            code, label = (("EO", "eosinophil"), ("LY", "lymphocyte"))[seed % 2]
            file = root / "cells" / "pbc" / label / f"{code}_{seed}.png"
            Image.fromarray(draw_cell(code, seed=seed, size=180).image).save(file)
            rows.append({"img_name": f"{code}_{seed}.jpg", "label": label.capitalize(), **values(code)})
        pl.DataFrame(rows).write_csv(root / "cells" / "wbcatt" / f"pbc_attr_v1_{part}.csv")
    (root / "cells" / "pbc" / "lymphocyte" / "LY_1.png").write_text("no picture")
    return root


@pytest.fixture(autouse=True)
def _place(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOPY_DATA", str(data))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(data))
        return fit_attributes(AttributeSettings(heads=QUICK), tmp_path_factory.mktemp("runs") / "run")


def test_what_can_be_learnt_is_learnt(run) -> None:
    assert run.test.cells == CELLS["test"]
    assert run.test.macro_f1.value == 1
    named = {metric.name: metric.value for metric in run.card.attributes.metrics}
    assert named["macro F1, nucleus shape"] == 1
    report = json.loads((run.bundle.parent / "attributes.json").read_text())
    assert report["most frequent value"]["macro_f1"]["value"] < 0.5
    assert report["most frequent value of the true class"]["macro_f1"]["value"] == 1


def test_a_picture_that_cannot_be_read_is_told_and_left_out(run) -> None:
    failures = pl.read_csv(run.bundle.parent / "failures.csv")
    assert failures["cell_id"].to_list() == ["pbc/lymphocyte/LY_1.png"]
    assert "not an image" in failures["message"][0]
    assert run.card.attributes.trained_on.images == CELLS["train"] - 1


def test_the_classes_stay_bit_for_bit(run, data: Path) -> None:
    paths = sorted((data / "cells" / "pbc").rglob("*_3*.png"))
    before, after = (file_activations(open_bundle(model), paths, "logits")[0] for model in ("default", run.bundle))
    assert np.array_equal(before, after)


def test_the_bundle_speaks(run, data: Path) -> None:
    cells = leukopy.load(str(run.bundle)).predict(sorted((data / "cells" / "pbc" / "eosinophil").iterdir())).cells
    seen = cells.filter(pl.col("coarse") == "EO")
    assert len(seen) > 10
    assert set(ATTRIBUTE_SCHEMA) <= set(cells.columns)
    expected = values("EO")
    right = [(seen[f"attr_{name}"] == value).mean() for name, value in expected.items()]
    assert min(right) > 0.7  # eight validation cells choose the epoch
    assert seen["why"].str.contains("coarse purple granules").any()


def test_fitting_again_replaces_what_was_there(run, tmp_path: Path) -> None:
    again = fit_attributes(AttributeSettings(model=str(run.bundle), heads=QUICK), tmp_path / "again")
    size = [(bundle / "model.onnx").stat().st_size for bundle in (run.bundle, again.bundle)]
    assert size[0] == size[1]
    assert again.test.macro_f1 == run.test.macro_f1


def test_wrong_settings_and_foreign_folders(run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="heads: hiden"):
        fit_attributes(AttributeSettings(heads={"hiden": 3}), tmp_path / "a")
    with pytest.raises(TrainingError, match="0 convolutions named 'stem'"):
        fit_attributes(AttributeSettings(heads={"stages": ["stem"]}), tmp_path / "b")
    with pytest.raises(OutputError, match="already holds results"):
        fit_attributes(AttributeSettings(heads=QUICK), run.bundle.parent)


def test_cells_that_the_network_never_learnt_from_are_scored_apart(run) -> None:
    attributes = run.card.attributes
    cells = pl.DataFrame(
        [
            {"code": "EO", "part": part, "pbc_split": split, **values("EO")}
            for part, split in (("train", "train"), ("test", "train"), ("test", "test"))
        ]
    )
    logits = np.zeros((3, sum(len(head.values) for head in attributes.heads)), np.float32)
    ends = np.cumsum([len(head.values) for head in attributes.heads])
    logits[2, ends - 1] = 9  # right on the cell of the test split, the first value on the other
    measured = measure(attributes, cells, logits, cells["part"].to_numpy() == "test")
    apart = "attributes, only images that the network never learnt from"
    assert measured.report[apart]["accuracy"]["value"] == 1
    assert measured.scores.accuracy.value == 0.5


def test_the_command(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text("heads: {epochs: 1, hidden: 2}")
    result = CliRunner().invoke(
        app, ["model", "fit-attributes", "--config", str(config), "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 3, result.output  # one picture is broken
    assert "nucleus shape" in result.output
    assert open_bundle(tmp_path / "run" / "bundle").card.attributes is not None
