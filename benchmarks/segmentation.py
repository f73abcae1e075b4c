"""Accuracy and speed of the segmentation of cell and nucleus, against masks drawn by hand.

    LEUKOPY_DATA=... python benchmarks/segmentation.py

Dice of the whole cell on CellaVision and on BCISC's pictures of one centred cell, of the nucleus on CellaVision. The
method was tuned on half of the pictures (the first byte of the SHA-1 of the file's name is even); the other half
chose nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.core.paths import data_folder
from leukopy.imaging.decode import read_image
from leukopy.imaging.segmentation import segment
from results_file import write

WARM_UP = 5


@dataclass(frozen=True)
class Score:
    dataset: str
    label: str
    part: str
    unseen: bool
    dice: float
    seconds: float
    """Processor time of this picture's segmentation."""


def hand_drawn() -> Iterator[tuple[str, str, str, NDArray[np.uint8], dict[str, NDArray[np.bool_]]]]:
    """Data set, file, label, picture, and the parts' masks."""
    for dataset in ("cellavision", "bcisc"):
        root = data_folder() / "cells" / dataset
        for row in pl.read_csv(root / "labels.csv", infer_schema=False).iter_rows(named=True):
            if row.get("clean", "1") != "1":
                continue
            mask = read_image(root / row["mask"])[..., 0]
            levels = {"cell": mask >= 100, "nucleus": mask >= 200} if dataset == "cellavision" else {"cell": mask > 0}
            yield dataset, row["file"], row["label"], read_image(root / row["file"]), levels


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Twice the common area over the sum of the areas."""
    return float(2 * np.sum(found & truth) / max(found.sum() + truth.sum(), 1))


def measure() -> list[Score]:
    scores = []
    for dataset, file, label, picture, truth in hand_drawn():
        unseen = hashlib.sha1(file.encode()).digest()[0] % 2 == 1
        begun = time.process_time()
        masks = segment(picture)
        seconds = time.process_time() - begun
        for part, mask in truth.items():
            scores.append(Score(dataset, label, part, unseen, dice(getattr(masks, part), mask), seconds))
    return scores


def summary(scores: list[Score]) -> dict[str, float | int]:
    values = [score.dice for score in scores]
    return {
        "pictures": len(values),
        "mean": round(float(np.mean(values)), 4),
        "median": round(float(np.median(values)), 4),
        "5th percentile": round(float(np.percentile(values, 5)), 4),
    }


def main() -> None:
    scores = measure()
    figures: dict[str, object] = {}
    for dataset, part in dict.fromkeys((score.dataset, score.part) for score in scores):
        these = [score for score in scores if (score.dataset, score.part) == (dataset, part)]
        figures[f"{dataset}, {part}"] = {
            "all": summary(these),
            "half not used in development": summary([score for score in these if score.unseen]),
            "half used in development": summary([score for score in these if not score.unseen]),
            "by class": {
                label: summary([score for score in these if score.label == label])
                for label in sorted({score.label for score in these})
            },
        }
        print(dataset, part, figures[f"{dataset}, {part}"])
    seconds = [score.seconds for score in scores if score.part == "cell"][WARM_UP:]
    figures["pictures per second of processor time, one core"] = {
        "median picture": round(1 / float(np.median(seconds)), 1),
        "fastest tenth (least disturbed by other work on the machine)": round(1 / float(np.percentile(seconds, 10)), 1),
    }
    print(figures["pictures per second of processor time, one core"])
    write("segmentation", figures)


if __name__ == "__main__":
    main()
