"""Cross-validation and training of patients' models, end to end on drawn patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leukopy.core.errors import InputError, OutputError, SettingsError, TrainingError
from leukopy.patients.evaluation.crossval import evaluate_patients
from leukopy.patients.store import open_patient_bundle
from leukopy.patients.workflows import crossval as crossval_module
from leukopy.patients.workflows.crossval import REFERENCE, CrossvalSettings, crossval, read_recipe
from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients
from leukopy.patients.workflows.predict import PredictPatientsSettings, predict_patients
from leukopy.patients.workflows.train import TrainPatientsSettings, train_patients

RECIPE = {
    "name": "small",
    "title": "Small",
    "description": "For tests.",
    "cells": {"outputs": ["attributes"], "measures": True},
    "model": {"kind": "statistics", "components": [2, 3], "C": [1.0]},
    "fusion": "late",
    "inner_folds": 2,
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen drawn patients of a few cells each, one image of which is none."""
    folder = tmp_path_factory.mktemp("drawn") / "cohort"
    draw_patients(DrawPatientsSettings(patients=16, cells=(3, 4), tumoral=0.5, size=128, seed=1), folder)
    (next(path for path in sorted(folder.iterdir()) if path.is_dir()) / "zz.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE", str(cache))


def settings(cohort: Path, **changes: Any) -> CrossvalSettings:
    values = {"cohort": {"path": cohort}, "recipes": [RECIPE], "folds": 2, "repeats": 1, "permutations": 1}
    return CrossvalSettings.build(values | changes)


def test_cross_validation_judges_each_patient_once_and_tells_all(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = crossval(settings(cohort), out)
    oof = pl.read_parquet(out / "oof.parquet")
    assert sorted(oof["model"].unique()) == [REFERENCE, "permuted_1", "small"]
    for _, rows in oof.group_by("model"):
        assert rows.height == rows["patient_id"].n_unique() == 16
    again = evaluate_patients(oof.filter(pl.col("model") == "small"))
    assert again == result.figures["small"]
    assert result.paired["small"].reference == REFERENCE
    assert result.failures["cell_id"].str.ends_with("zz.png").to_list() == [True]
    page = (out / "report.html").read_text()
    assert "Research use only" in page
    assert "http" not in page.split("Content-Security-Policy")[1].split(">")[1]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_gives_the_same(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = settings(cohort, permutations=0)
    crossval(asked, tmp_path / "whole")

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "cross-validating" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crossval(asked, tmp_path / "cut", progress=stop)
    assert list((tmp_path / "cut" / "folds").rglob("*.parquet"))
    with pytest.raises(OutputError, match="--resume"):
        crossval(asked, tmp_path / "cut")
    crossval(asked, tmp_path / "cut", resume=True)
    whole, cut = (pl.read_parquet(tmp_path / name / "oof.parquet") for name in ("whole", "cut"))
    assert whole.equals(cut)


def test_what_is_trained_judges_new_patients(cohort: Path, tmp_path: Path) -> None:
    asked = TrainPatientsSettings.build(
        {"cohort": {"path": cohort}, "recipe": RECIPE, "folds": 2, "repeats": 1, "permutations": 0}
    )
    trained = train_patients(asked, tmp_path / "run")
    card = open_patient_bundle(trained.bundle).card
    assert card.model.members == 2
    assert len(card.features) == card.model.features
    assert {metric.data for metric in card.metrics} == {"nested cross-validation of 16 patients, 1 repeats"}
    assert card.ages[0] % 5 == card.ages[1] % 5 == 0
    assert card.clinical is not None
    floor, ceiling = card.clinical.log_odds
    assert -6.9 <= floor < 0 < ceiling <= 6.9
    assert card.ages[0] <= card.clinical.ages[0] < card.clinical.ages[1] <= card.ages[1]
    assert card.counts[0] <= card.clinical.counts[0] < card.clinical.counts[1] <= card.counts[1]
    found = predict_patients(
        PredictPatientsSettings(path=cohort, model=str(trained.bundle), pages=False, shown=0), tmp_path / "judged"
    )
    assert found.patients["probability"].is_between(0, 1).all()


def test_the_model_that_ships_judges_drawn_patients(cohort: Path, tmp_path: Path) -> None:
    found = predict_patients(PredictPatientsSettings(path=cohort, pages=False, shown=0), tmp_path / "judged")
    assert found.patients["probability"].is_between(0, 1).all()


class TestRefusals:
    def test_patients_of_one_label(self, tmp_path: Path) -> None:
        (tmp_path / "patients.csv").write_text("patient_id,label,age,lymphocytes\na,1,60,9\nb,1,61,9\n")
        for name in "ab":
            (tmp_path / name).mkdir()
            (tmp_path / name / "1.png").write_bytes(b"")
        with pytest.raises(InputError, match="use 'leukopy patients predict'"):
            crossval(settings(tmp_path), tmp_path / "out")

    def test_more_folds_than_patients(self, cohort: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="Set --folds lower"):
            crossval(settings(cohort, folds=20), tmp_path / "out")

    def test_a_recipe_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "odd.yaml").write_text("name: odd\nmodel: {kind: statistics}\n")
        with pytest.raises(SettingsError, match=r"odd\.yaml: title: Field required"):
            read_recipe(tmp_path / "odd.yaml")

    def test_two_recipes_of_one_name(self, cohort: Path) -> None:
        with pytest.raises(SettingsError, match="different names"):
            settings(cohort, recipes=[RECIPE, RECIPE])


def test_features_are_computed_once(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossval(settings(cohort, permutations=0), tmp_path / "first")
    monkeypatch.setattr("leukopy.patients.inference.bags.SlideReader", None)  # nothing is left to be computed
    crossval(settings(cohort, permutations=0), tmp_path / "second")
    assert crossval_module.COMMAND in (tmp_path / "second" / "run.json").read_text()
