"""Ensembles on the frozen features of two networks that know different things."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import read_json
from leukopy.studies import stack as module
from leukopy.studies.stack import JOINED, MEAN, STACKED, StackSettings, stack
from leukopy.training.features import Computed
from leukopy.training.stacking import fit_logistic
from leukopy.training.stacking import stack as stack_features

CODES = ("SNE", "EO", "LY", "MO")


def write(folder: Path, cells: int = 400) -> Path:
    """A manifest of cells without pictures, half of them to fit to."""
    rows = {
        "path": [f"{number}.png" for number in range(cells)],
        "code": [CODES[number % 4] for number in range(cells)],
        "split": ["val" if number % 8 < 4 else "test" for number in range(cells)],
    }
    path = folder / "cells.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """One network tells granulocytes from the others, the other tells the two of each apart."""

    def features(model: str, cells: pl.DataFrame, _: object) -> Computed:
        rng = np.random.default_rng(len(model))
        index = cells["code"].replace_strict({code: place for place, code in enumerate(CODES)}).to_numpy()
        known = index // 2 if model == "default" else index % 2
        values = known[:, None] + rng.normal(0, 0.15, (len(cells), 3))
        failures = {0: "not an image"} if model == "default" else {}
        return Computed(values.astype(np.float32), failures)

    monkeypatch.setattr(module, "_features", features)


@pytest.mark.usefixtures("halves")
def test_a_stack_joins_what_each_network_knows(tmp_path: Path, colour_model) -> None:
    settings = StackSettings(data=str(write(tmp_path)), models=("default", str(colour_model.path)), replicates=200)
    result = stack(settings, tmp_path / "out")
    rows = {row.name: row for row in result.rows}
    names = list(rows)
    assert names[-3:] == [MEAN, JOINED, STACKED]
    alone = [rows[name].fine_accuracy for name in names[:2]]
    assert max(alone) < 0.65  # each leaves two classes apart from chance
    assert rows[STACKED].fine_accuracy > 0.95
    assert rows[JOINED].fine_accuracy > 0.95
    assert result.gain.value == pytest.approx(rows[STACKED].fine_accuracy - rows[result.best].fine_accuracy)
    assert result.gain.low > 0.25
    assert rows[STACKED].parameters == sum(rows[name].parameters for name in names[:2])
    assert result.left_out["failed"] == 1
    assert "0.png" in (tmp_path / "out" / "failures.csv").read_text()
    assert read_json(tmp_path / "out" / "stack.json")["best"] == result.best
    assert "Research use only" in (tmp_path / "out" / "compare.md").read_text()


def test_out_of_fold_probabilities_never_saw_their_cell() -> None:
    """Features without information: a fit that saw the cells would know them, out-of-fold ones are at chance."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 300))
    labels, folds = rng.integers(0, 2, 200), np.arange(200) % 5
    found = fit_logistic(features, labels, folds)
    assert (found.estimator.predict(features) == labels).mean() > 0.8
    assert (found.out_of_fold.argmax(axis=1) == labels).mean() == pytest.approx(0.5, abs=0.12)
    single, second = stack_features(
        {"noise": features, "truth": labels[:, None] + rng.normal(0, 0.2, (200, 1))}, labels, folds
    )
    assert list(single) == ["noise", "truth"]
    assert (second.out_of_fold.argmax(axis=1) == labels).mean() > 0.95  # the noise has no weight


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"models": ("default",)}, SettingsError, "two models or more"),
        ({"split": "val"}, SettingsError, "name the same images"),
        ({"fit": "train"}, InputError, "no image is in split 'train'"),
        ({"folds": 90}, InputError, "49 images of its rarest class"),
    ],
)
@pytest.mark.usefixtures("halves")
def test_what_cannot_be_stacked_is_refused(
    settings: dict[str, object], error: type[Exception], message: str, tmp_path: Path, colour_model
) -> None:
    given = {"data": str(write(tmp_path)), "models": ("default", str(colour_model.path)), "replicates": 100} | settings
    with pytest.raises(error, match=message):
        stack(StackSettings.build(given), tmp_path / "out")


@pytest.mark.usefixtures("halves")
def test_the_command_prints_one_table(tmp_path: Path, colour_model) -> None:
    models = [part for model in ("default", str(colour_model.path)) for part in ("--models", model)]
    command = ["study", "stack", str(write(tmp_path)), *models, "--replicates", "100", "--out", str(tmp_path / "out")]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 3, answer.output  # one picture could not be read
    assert "stacked" in answer.output
