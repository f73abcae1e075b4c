"""How many errors does a reader find who looks at the first cells of the review order?

    LEUKOPY_DATA=... python benchmarks/review_order.py runs/outside

``runs/outside`` is the run of ``leukopy model fit-outside`` for the model that ships. Slides: patients of hopkins with
the evidence of heads that did not see them, and PBC's test cells in slides of a usual mixture. An error is a cell that
is counted in another class than its label's: at the fine classes, or at the coarse ones; cells of no class that the
model answers are errors where they are not unidentified. The weights were fitted to PBC's validation cells and to these
patients; ``left out`` ranks by weights fitted to the other patients. Where more than 15 % of the cells are wrong, no
order finds all errors within 15 %: ``perfect`` is the share that the best order finds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib import pyplot
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from leukopy.bundle import open_bundle
from leukopy.slides.review_order import ReviewWeights, review_ranks
from leukopy.taxonomy import find
from results_file import write
from served_rows import patients, pbc, usual_slides

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
AIM = 0.15
FOLDS = 5
Order = Callable[[pl.DataFrame], NDArray[np.float64]]


def errors(cells: pl.DataFrame, answered: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Wrongly counted cells, at the fine and at the coarse classes."""
    unidentified = cells["flags"].str.split(";").list.contains("unidentified").to_numpy()
    code, fine, coarse = (cells[name].to_numpy() for name in ("code", "fine", "coarse"))
    truth = np.array([find(one).coarse or one for one in code])
    answers = np.isin(truth, [*answered, "NEU", "IG"])
    wrong = np.where(answers, (coarse != truth) | unidentified, ~unidentified)
    exact = np.isin(code, answered)
    return {"fine": np.where(exact, (fine != code) | unidentified, wrong), "coarse": wrong}


def curve(slides: Sequence[pl.DataFrame], order: Order, level: str, answered: Sequence[str]) -> dict[str, Any]:
    """Share of all errors among the first cells of each slide, by share of cells looked at; limits over slides."""
    found, most, total = [], [], []
    for cells in slides:
        wrong, place = errors(cells, answered)[level], order(cells)
        looked = [np.ceil(share * len(cells)) for share in SHARES]
        found.append([int(wrong[place <= count].sum()) for count in looked])
        most.append([min(int(count), int(wrong.sum())) for count in looked])
        total.append(int(wrong.sum()))
    rng, counts, sums = np.random.default_rng(0), np.array(found), np.array(total)
    drawn = rng.integers(0, len(slides), (1000, len(slides)))
    ratios = counts[drawn].sum(axis=1) / sums[drawn].sum(axis=1)[:, None]
    low, high = np.quantile(ratios, [0.025, 0.975], axis=0)
    return {
        "cells": sum(map(len, slides)), "errors": int(sums.sum()), "looked_at": SHARES,
        "found": (counts.sum(axis=0) / sums.sum()).round(4).tolist(),
        "low": low.round(4).tolist(), "high": high.round(4).tolist(),
        "perfect": (np.array(most).sum(axis=0) / sums.sum()).round(4).tolist(),
    }  # fmt: skip


def by(weights: ReviewWeights | None = None) -> Order:
    return lambda cells: review_ranks(cells.drop("slide").lazy(), weights).to_numpy()


def by_confidence(cells: pl.DataFrame) -> NDArray[np.float64]:
    """The order of 0.1.0: the least certain fine class first."""
    return cells["fine_confidence"].rank("ordinal").to_numpy().astype(float)


TERMS = ("fine", "coarse", "stage", "attributes", "unidentified", "rarity")


def terms(cells: pl.DataFrame) -> NDArray[np.float64]:
    """Terms of the score of each cell, (N, 6), each by the weights that leave the others out."""
    from leukopy.slides import review_order as module  # noqa: PLC0415 (its parts)

    nothing = dict.fromkeys(ReviewWeights.model_fields, 0.0)
    scored = cells.lazy().select(
        module._error_score(cells.columns, ReviewWeights(**nothing | {name: 1.0})).alias(name) for name in TERMS[:-1]
    )
    code = module.counted_code()
    share = cells.select((pl.len().over(code) + 1) / (pl.len() + len(module._CODES))).to_series()
    return np.column_stack([scored.collect().to_numpy(), -np.log(share.to_numpy())])


def fit(parts: Sequence[Sequence[pl.DataFrame]], answered: Sequence[str]) -> ReviewWeights:
    """Weights by logistic regression on the fine and coarse errors of some slides; each part weighs as much."""
    features, wrong, weight = [], [], []
    for slides in parts:
        table = np.concatenate([terms(cells) for cells in slides])
        for level in ("fine", "coarse"):
            features.append(table)
            wrong.append(np.concatenate([errors(cells, answered)[level] for cells in slides]))
            weight.append(np.full(len(table), 1e4 / len(table)))
    model = LogisticRegression(max_iter=1000).fit(
        np.concatenate(features), np.concatenate(wrong), sample_weight=np.concatenate(weight)
    )
    return ReviewWeights(**dict(zip(TERMS, model.coef_[0].tolist(), strict=True)))


def left_out(slides: Sequence[pl.DataFrame], validation: Sequence[pl.DataFrame], answered: Sequence[str]) -> Order:
    """The order by weights fitted without the fold of the slide."""
    fold = np.random.default_rng(0).permutation(len(slides)) % FOLDS
    weights = [fit((validation, [slides[i] for i in np.flatnonzero(fold != part)]), answered) for part in range(FOLDS)]
    own = {id(cells): weights[part] for cells, part in zip(slides, fold, strict=True)}
    return lambda cells: by(own[id(cells)])(cells)


def draw(path: Path, curves: dict[str, dict[str, Any]]) -> None:
    mpl.use("Agg")
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True)
    for panel, level in zip(panels, ("fine", "coarse"), strict=True):
        for name, one in curves.items():
            if name.endswith(level):
                at = [0, *(100 * share for share in one["looked_at"])]
                panel.plot(at, [0, *(100 * share for share in one["found"])], marker=".", label=name.split(",")[0])
                if "review_rank" in name:
                    panel.plot(at, [0, *(100 * share for share in one["perfect"])], ":", color="grey", lw=1)
        panel.set_title(f"errors at the {level} classes")
        panel.set_xlabel("cells looked at, % (dotted: the best possible order)")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    panels[0].set_ylabel("errors found, %")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main(run: Path) -> None:
    bundle = open_bundle("default")
    answered = bundle.card.answers
    hopkins = list(patients(bundle, run))
    validation = list(usual_slides(pbc(bundle, "val"), 100, 1))
    test = list(usual_slides(pbc(bundle, "test"), 200, 0))
    curves = {}
    for level in ("fine", "coarse"):
        for name, slides, order in (
            ("hopkins by review_rank", hopkins, by()),
            ("hopkins by weights left out", hopkins, left_out(hopkins, validation, answered)),
            ("hopkins by confidence", hopkins, by_confidence),
            ("PBC test by review_rank", test, by()),
            ("PBC test by confidence", test, by_confidence),
        ):
            curves[f"{name}, {level}"] = curve(slides, order, level, answered)
    at = SHARES.index(AIM)
    figures = {
        "errors found at 15 % of the cells": {
            name: {"found": one["found"][at], "low": one["low"][at], "high": one["high"][at],
                   "perfect": one["perfect"][at], "error_rate": round(one["errors"] / one["cells"], 4)}
            for name, one in curves.items()
        },
        "weights fitted to all": fit((validation, hopkins), answered).model_dump(exclude={"critical_rarity"}),
        "weights that ship": ReviewWeights().model_dump(),
        "curves": curves,
    }  # fmt: skip
    path = write("review_order", figures)
    draw(Path(path).with_suffix(".png"), curves)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
