"""Consensus of simulated annotators on the validation labels of PBC, beside the majority.

    python benchmarks/consensus.py [SEEDS]

Annotators differ in skill and label 60 % of the cells; their errors fall on classes that people confuse (stages of
granulocytes, lymphocyte and monocyte) seven times of ten. The default model chose its epoch on these images and did not
learn their labels.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.evaluation.consensus import NONE, Consensus, crowdlab, dawid_skene, majority
from leukopy.slides.classifier import Classifier
from leukopy.taxonomy import FINE
from results_file import write

SKILLS = {"five, one expert": (0.97, 0.8, 0.75, 0.7, 0.65), "three alike": (0.85, 0.85, 0.85), "two": (0.95, 0.75)}
SHARE = 0.6
NEAR = {
    "SNE": "BNE", "BNE": "SNE", "MMY": "MY", "MY": "PMY", "PMY": "MY", "LY": "MO", "MO": "LY", "EO": "SNE", "BA": "EO",
    "ERB": "LY", "PLT": "ERB",
}  # fmt: skip
CODES = [cell.code for cell in FINE]


def annotate(truth: NDArray[np.intp], skills: tuple[float, ...], seed: int) -> NDArray[np.intp]:
    """Labels (N, M); every cell has one at least."""
    rng = np.random.default_rng(seed)
    near = np.array([CODES.index(NEAR[code]) for code in CODES])
    labels = np.empty((len(truth), len(skills)), np.intp)
    for place, skill in enumerate(skills):
        other = (truth + rng.integers(1, len(CODES), len(truth))) % len(CODES)
        wrong = np.where(rng.random(len(truth)) < 0.7, near[truth], other)
        labels[:, place] = np.where(rng.random(len(truth)) < skill, truth, wrong)
    left = rng.random(labels.shape) >= SHARE
    left[left.all(axis=1), 0] = False
    labels[left] = NONE
    return labels


def judge(found: Consensus, truth: NDArray[np.intp]) -> dict[str, float]:
    """Accuracy, and how well the list to adjudicate catches the errors."""
    wrong, doubtful = found.classes != truth, found.probabilities.max(axis=1) < 0.9
    return {
        "accuracy": float(1 - wrong.mean()),
        "adjudicated": float(doubtful.mean()),
        "errors_adjudicated": float(doubtful[wrong].mean()),
    }


def main(seeds: int) -> None:
    cells = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(split="val")
    predicted = Classifier.open("default", classes="healthy").predict(cells["path"].to_list()).cells
    cells = cells.join(predicted.drop_nulls("fine"), on="path", how="inner")
    cells = cells.filter(cells["code"].is_in(CODES))
    truth = np.array([CODES.index(code) for code in cells["code"]], np.intp)
    shares = np.maximum(cells.select(f"p_{code}" for code in CODES).to_numpy().astype(np.float64), 1e-6)
    figures: dict[str, object] = {"cells": len(truth), "model_alone": float((shares.argmax(axis=1) == truth).mean())}
    for name, skills in SKILLS.items():
        rows = []
        for seed in range(seeds):
            labels = annotate(truth, skills, seed)
            one = {"majority": {"accuracy": float((majority(labels, len(CODES)) == truth).mean())}}
            one["dawid_skene"] = judge(dawid_skene(labels, len(CODES)), truth)
            one["crowdlab"] = judge(crowdlab(labels, shares), truth)
            rows.append(one)
        figures[name] = {
            "skills": skills,
            **{
                method: {
                    figure: [round(float(limit([row[method][figure] for row in rows])), 4) for limit in LIMITS]
                    for figure in rows[0][method]
                }
                for method in rows[0]
            },
        }
    write("consensus", figures | {"seeds": seeds, "each_figure": "mean, lowest and highest of the seeds"})


LIMITS = (np.mean, np.min, np.max)

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
