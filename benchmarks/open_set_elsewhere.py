"""Which cells come out as unidentified in a laboratory that the model never saw, each by itself and among its slide.

    leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out
    leukopy study leave-out configs/open_set.yaml --out runs/open_set
    for lab in raabin chula bcisc cellavision; do
        run=runs/leave_one_out/not-$lab/seed0
        leukopy model fit-ood --keep-rate 0.98 --model $run/model/bundle --out $run/open
    done
    LEUKOPY_DATA=... python benchmarks/open_set_elsewhere.py runs/leave_one_out runs/open_set

Two kinds of networks are asked; those whose folder is absent are passed over. The ones that never saw a laboratory know
all its classes: what they flag there is wrong, but for the pictures that are spoilt. The ones that never saw a class,
and no laboratory but PBC, are shown cells of the class among others of a laboratory. Slides are drawn by chance, 40 of
100 cells each, or fewer where the laboratory has fewer; all figures are their means.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import silent
from leukopy.datasets import open_dataset
from leukopy.evaluation.roc import delong_interval
from leukopy.inference import activations
from leukopy.inference.rows import CellInput
from leukopy.slides.classifier import Classifier
from leukopy.slides.ood_correction import correct, estimate_shift
from leukopy.slides.survey import FAR, sample_of
from leukopy.taxonomy import fine_members
from leukopy.training.ood_score import run_network
from leukopy.training.sources import with_test
from leukopy.workflows.fit_ood import recipe_of
from results_file import write

LABORATORIES = ("raabin", "chula", "bcisc", "cellavision")
SHARES = (0.0, 0.1, 0.3, 0.6)
SLIDE, SLIDES = 100, 40
ENOUGH = 20
"""Cells of a class in a laboratory from which slides of it are made."""

Outputs = dict[str, NDArray[np.float32]]


class Cells:
    """Network outputs of some cells, and scores of slides of them."""

    def __init__(self, bundle: Bundle, outputs: Outputs) -> None:
        knowing = bundle.card.open_set
        if knowing is None or knowing.baseline is None:
            raise SystemExit(f"{bundle.path}: cannot judge slides. Fit its open set again: leukopy model fit-ood.")
        self.outputs, self.threshold, self.known = outputs, knowing.threshold, knowing.baseline

    def alone(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return self.outputs["ood_score"][rows] / self.threshold

    def slide(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Scores of the cells of one slide by a sample of them, as in `Classifier.shift` and `Classifier.stream`."""
        ood_score, far = (self.outputs[name] for name in ("ood_score", FAR))
        some = np.array(sample_of(list(rows)))
        return (
            correct(ood_score[rows], far[rows], estimate_shift(ood_score[some], far[some], self.known)) / self.threshold
        )


def as_seen(bundle: Bundle, cells: pl.DataFrame) -> Bundle:
    """The bundle at the magnification of a laboratory; all its cells count as one slide."""
    slide = Classifier(bundle).slide([CellInput(*cell) for cell in cells.select("cell_id", "path").iter_rows()])
    return bundle.with_preprocess(slide.preprocess)


def see(bundle: Bundle, cells: pl.DataFrame) -> tuple[pl.DataFrame, Outputs, NDArray[np.uint8]]:
    """The cells that can be read, what the network gives, and 100 pictures by chance."""
    seen = run_network(bundle, cells, cache_folder(), silent, ("ood_score", FAR))
    some = np.random.default_rng(0).permutation(len(seen.cells))[:100]
    return seen.cells, seen.outputs, seen.pictures(np.sort(some))


def laboratory(name: str) -> pl.DataFrame:
    cells = open_dataset(name, data_folder() / "cells" / name)
    return cells.filter(pl.col("code").is_not_null()).with_columns(source=pl.lit(name))


def spoilt(pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Blurred, without a cell (a corner, enlarged), and the halves of two cells side by side."""
    side = pictures.shape[1]
    blur = ImageFilter.GaussianBlur(3 * side / 96)
    left, right = pictures[: len(pictures) // 2], pictures[-(len(pictures) // 2) :]
    cut = slice(side // 4, side // 4 + side // 2)
    return {
        "blurred": np.stack([np.asarray(Image.fromarray(one).filter(blur)) for one in pictures]),
        "no cell": np.stack(
            [np.asarray(Image.fromarray(one[: side // 4, : side // 4]).resize((side, side))) for one in pictures]
        ),
        "two cells": np.concatenate([left[:, :, cut], right[:, :, cut]], axis=2),
    }


def shares(cells: Cells, strange: NDArray[np.bool_], share: float, rng: np.random.Generator) -> dict[str, float]:
    """Shares flagged of the unknown and of the known cells, in slides with a share of unknown cells."""
    of_known, of_strange = np.flatnonzero(~strange), np.flatnonzero(strange)
    size = min(SLIDE, int(len(of_known) / (1 - share)), int(len(of_strange) / share) if share else SLIDE)
    number = round(share * size)
    found = []
    for _ in range(SLIDES):
        rows = rng.permutation(np.r_[rng.permutation(of_known)[: size - number], rng.permutation(of_strange)[:number]])
        for nearest_laboratory in (cells.alone, cells.slide):
            up = nearest_laboratory(rows) > 1
            found.append((up[~strange[rows]].mean(), up[strange[rows]].mean() if number else np.nan))
    means = np.array(found).reshape(SLIDES, 4).mean(axis=0).round(4).tolist()
    names = ("false, alone", "found, alone", "false, among its slide", "found, among its slide")
    return {name: value for name, value in zip(names, means, strict=True) if np.isfinite(value)}


def unseen_laboratory(name: str, run: Path) -> dict[str, object]:
    """By a network that never saw the laboratory."""
    listed, rng = laboratory(name), np.random.default_rng(0)
    bundle = as_seen(open_bundle(run), listed)
    table, outputs, pictures = see(bundle, listed)
    cells, every = Cells(bundle, outputs), np.arange(len(table))
    figures: dict[str, object] = {
        "cells": len(table),
        "PBC test, alone": bundle.card.open_set.metrics[0].value if bundle.card.open_set else None,
        "all cells, alone": float((cells.alone(every) > 1).mean()),
        "all cells, as one slide": float((cells.slide(every) > 1).mean()),
        "slides": shares(cells, np.zeros(len(table), bool), 0.0, rng),
    }
    for kind, made in spoilt(pictures).items():
        more = activations(bundle, made, ("ood_score", FAR))
        both = Cells(bundle, {key: np.concatenate([outputs[key], more[key]]) for key in more})
        figures[f"a tenth is {kind}"] = shares(both, np.arange(len(table) + len(made)) >= len(table), 0.1, rng)
    return figures


def unseen_class(code: str, run: Path) -> dict[str, object]:
    """By a network that never saw the class, nor any laboratory but PBC."""
    bundle, members = open_bundle(run), set(fine_members(code))
    test = with_test(recipe_of(bundle).model_copy(update={"without": ()}), data_folder()).filter(split="test")
    figures: dict[str, object] = {}
    for name, table in {"pbc": test, **{name: laboratory(name) for name in LABORATORIES}}.items():
        seen, outputs, _ = see(as_seen(bundle, table), table)
        cells, rng = Cells(bundle, outputs), np.random.default_rng(0)
        strange = np.array([members.issuperset(fine_members(own)) for own in seen["code"]])
        found: dict[str, object] = {"cells": len(seen), "of the class": int(strange.sum())}
        if strange.sum() >= ENOUGH:
            found["AUROC, alone"] = delong_interval(strange, cells.alone(np.arange(len(seen)))).value
            found["AUROC, among its slide"] = delong_interval(strange, cells.slide(np.arange(len(seen)))).value
        for share in SHARES if strange.sum() >= ENOUGH else SHARES[:1]:
            found[f"slides, {share:.0%} of the class"] = shares(cells, strange, share, rng)
        figures[name] = found
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("leave_one_out", type=Path)
    parser.add_argument("open_set", type=Path)
    folders = parser.parse_args()
    bundles = {name: folders.leave_one_out / f"not-{name}" / "seed0" / "open" / "bundle" for name in LABORATORIES}
    laboratories = {name: unseen_laboratory(name, path) for name, path in bundles.items() if path.exists()}
    runs = sorted(path.parents[1] for path in folders.open_set.glob("*/open/bundle"))
    classes = {run.name: unseen_class(run.name, run / "open" / "bundle") for run in runs}
    print(write("open_set_elsewhere", {"laboratory left out": laboratories, "class left out": classes}))


if __name__ == "__main__":
    main()
