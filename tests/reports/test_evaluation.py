from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn import metrics

from leukopy.evaluation.levels import Evaluation, score_level
from leukopy.reports.evaluation import write_evaluation
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

_PROVENANCE = {"command": "leukopy evaluate x", "commit": "abc", "machine": "Linux, 2 cores", "created": "2026-03-01"}


@pytest.fixture
def evaluation():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, 400)  # no platelet
    fine = softmax(4 * np.eye(11)[truth] + rng.normal(0, 1.3, (400, 11)), axis=1)
    to_coarse = coarse_matrix()
    coarse_truth = to_coarse[truth].argmax(axis=1)
    coarse = fine @ to_coarse
    return Evaluation(
        model="small",
        data="drawn",
        split="test",
        drawn_by="image",
        counts={"listed": 410, "unlabelled": 3, "outside": 2, "failed": 5, "scored": 400},
        coarse=score_level(COARSE, coarse_truth, coarse.argmax(axis=1), coarse, replicates=200),
        fine=score_level(FINE, truth, fine.argmax(axis=1), fine, replicates=200),
    )


def test_files_agree_with_one_another_and_with_scikit_learn(evaluation, tmp_path):
    write_evaluation(tmp_path, evaluation, _PROVENANCE)
    report = json.loads((tmp_path / "report.json").read_text())
    per_class = pl.read_csv(tmp_path / "per_class.csv")
    assert per_class.height == 19
    for key, level in report["levels"].items():
        matrix = np.array(level["confusion"])
        truth = np.repeat(np.arange(len(matrix)), matrix.sum(axis=1))
        predicted = np.concatenate([np.repeat(np.arange(len(matrix)), row) for row in matrix])
        macro = metrics.f1_score(truth, predicted, labels=np.unique(truth), average="macro")
        assert level["macro F1"]["value"] == pytest.approx(macro)
        assert level["ECE"]["low"] <= level["ECE"]["value"] <= level["ECE"]["high"]
        assert level["classes"]["PLT"]["recall"] == {"value": None, "low": None, "high": None}
        rows = per_class.filter(level=key)
        assert rows["code"].to_list() == list(level["classes"])
        stored = [score["f1"]["value"] for score in level["classes"].values()]
        assert rows["f1"].drop_nulls().to_list() == pytest.approx([v for v in stored if v is not None], abs=1e-3)
        assert pl.read_csv(tmp_path / f"confusion_{key}.csv")["images"].to_list() == matrix.sum(axis=1).tolist()


def test_pictures_open(evaluation, tmp_path):
    write_evaluation(tmp_path, evaluation, _PROVENANCE)
    for name in ("confusion_coarse.png", "confusion_fine.png", "reliability.png"):
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert min(picture.size) > 500


def test_summary_can_stand_alone(evaluation, tmp_path):
    write_evaluation(tmp_path, evaluation, _PROVENANCE)
    text = (tmp_path / "summary.md").read_text()
    f1 = evaluation.coarse.classification.macro_f1
    for expected in (
        "# small on drawn, test", "400 of 410 images scored; 5 could not be read, 3 have no label, 2 are outside",
        f"| macro F1 | {f1.value:.4f} ({f1.low:.4f} to {f1.high:.4f}) |", "segmented neutrophil (SNE)",
        "command: `leukopy evaluate x`", "commit: `abc`", "machine: `Linux, 2 cores`", "Research use only",
    ):  # fmt: skip
        assert expected in text
    assert "platelet" not in text  # absent from the truth


def test_a_truth_without_fine_classes_gives_the_coarse_level_alone(evaluation, tmp_path):
    coarse_only = Evaluation(**{**vars(evaluation), "fine": None})
    write_evaluation(tmp_path, coarse_only, _PROVENANCE)
    assert list(json.loads((tmp_path / "report.json").read_text())["levels"]) == ["coarse"]
    assert not (tmp_path / "confusion_fine.png").exists()
