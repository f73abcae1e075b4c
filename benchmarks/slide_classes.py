"""Gain of re-estimating a slide's class means from its cells, on slides of laboratories left out of the training.

Needs the models that ``leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out`` trains:

    LEUKOPY_DATA=... python benchmarks/slide_classes.py runs/leave_one_out

A whole laboratory as one slide is what that command reports. Here its cells are drawn into slides as they occur: of the
usual mixture of a differential count, of all classes alike, and of one class alone; and validation cells of PBC, which
the same models know. Answers of all coarse classes; recalls are averaged over classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import silent
from leukopy.datasets import open_dataset
from leukopy.evaluation.classification import coarse_indices
from leukopy.inference.engine import Engine
from leukopy.inference.rows import CellInput
from leukopy.network.probabilities import softmax
from leukopy.slides.class_means import CLASS_TRAITS, TRAITS, estimate_class_means
from leukopy.slides.classifier import Classifier
from leukopy.slides.survey import sample_of
from leukopy.taxonomy import COARSE, FINE, coarse_matrix
from leukopy.training.ood_score import run_network
from results_file import write

LABORATORIES = ("raabin", "chula", "bcisc", "cellavision")
USUAL = {"NEU": 0.60, "LY": 0.27, "MO": 0.06, "EO": 0.03, "BA": 0.01, "IG": 0.01, "ERB": 0.01, "PLT": 0.01}
CELLS, SLIDES = 200, 40

Slides = Iterator[NDArray[np.intp]]


def mixed(classes: NDArray[np.intp], shares: dict[str, float], rng: np.random.Generator) -> Slides:
    """Slides of the classes that there are, in these shares; cells are drawn again where they are few."""
    there = np.unique(classes)
    weights = np.array([shares[COARSE[index].code] for index in there])
    for _ in range(SLIDES):
        counts = rng.multinomial(CELLS, weights / weights.sum())
        drawn = [
            rng.choice(np.flatnonzero(classes == index), count) for index, count in zip(there, counts, strict=True)
        ]
        yield rng.permutation(np.concatenate(drawn))


def alone(classes: NDArray[np.intp], rng: np.random.Generator) -> Slides:
    """A slide of each class that has cells enough."""
    for index in np.unique(classes):
        rows = np.flatnonzero(classes == index)
        if len(rows) >= 20:
            yield rng.permutation(rows)[:CELLS]


class Cells:
    """Network outputs of some cells."""

    def __init__(self, bundle: Bundle, cells: pl.DataFrame) -> None:
        seen = run_network(bundle, cells, cache_folder(), silent, ("logits", TRAITS, "foreign_probability"))
        self.outputs, self.how = seen.outputs, bundle.card.slide_classes
        self.known = Engine(bundle.network).constant(CLASS_TRAITS)
        self.classes = np.array(coarse_indices(seen.cells["code"].to_list()))

    def found(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The coarse classes of a slide's cells: each cell by itself, and with what the slide's own classes say."""
        logits, traits, foreign_probability = (self.outputs[name] for name in ("logits", TRAITS, "foreign_probability"))
        if self.how is None:
            raise SystemExit("the models find no classes of a slide. Train them again.")
        some = np.array(sample_of(list(rows)))
        own = estimate_class_means(traits[some], softmax(logits[some]) @ coarse_matrix(), self.known, self.how)
        more = logits[rows] + foreign_probability[rows].reshape(-1, 1) * own.evidence(traits[rows])
        before, after = ((softmax(each) @ coarse_matrix()).argmax(axis=1) for each in (logits[rows], more))
        return before, after

    def recalls(self, slides: Slides) -> dict[str, float]:
        """Mean over the classes of their recall, over all the slides."""
        truth, before, after = [], [], []
        for rows in slides:
            truth.append(self.classes[rows])
            for kept, found in zip((before, after), self.found(rows), strict=True):
                kept.append(found)
        true = np.concatenate(truth)
        return {
            name: round(float(np.mean([(found[true == index] == index).mean() for index in np.unique(true)])), 4)
            for name, found in (("each by itself", np.concatenate(before)), ("of its slide", np.concatenate(after)))
        }


def of_slides(cells: Cells) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    return {
        "usual mixture": cells.recalls(mixed(cells.classes, USUAL, rng)),
        "all classes alike": cells.recalls(mixed(cells.classes, dict.fromkeys(USUAL, 1.0), rng)),
        "one class alone": cells.recalls(alone(cells.classes, rng)),
    }


def main() -> None:
    runs, figures = Path(sys.argv[1]), {}
    codes = [cell.code for cell in (*FINE, *COARSE)]
    for name in LABORATORIES:
        bundle = open_bundle(runs / f"not-{name}" / "seed0" / "model" / "bundle")
        table = open_dataset(name, data_folder() / "cells" / name).filter(pl.col("code").is_in(codes))
        table = table.with_columns(source=pl.lit(name))
        slide = Classifier(bundle).slide([CellInput(*cell) for cell in table.select("cell_id", "path").iter_rows()])
        near = bundle.with_preprocess(slide.preprocess)
        known = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(split="val")
        figures[name] = {
            "left out": of_slides(Cells(near, table)),
            "PBC validation": of_slides(Cells(bundle, known.with_columns(source=pl.lit("pbc")))),
        }
        print(name, figures[name], flush=True)
    kinds = figures[LABORATORIES[0]]["left out"]
    mean = {
        kind: {
            way: round(float(np.mean([found["left out"][kind][way] for found in figures.values()])), 4)
            for way in ("each by itself", "of its slide")
        }
        for kind in kinds
    }
    print(write("slide_classes", {**figures, "mean, left out": mean}))


if __name__ == "__main__":
    main()
