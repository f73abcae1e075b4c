"""Gain of 20 labels per class in a new laboratory: each is left out of the training in turn, then adapted to.

Needs the models that ``leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out`` trains:

    python benchmarks/adapt.py runs/leave_one_out

The labelled cells are drawn five times; all other cells of the laboratory are judged, but those that share a slide or
field with a labelled one wherever enough remain. Chula shows some cells in several fields, which its list does not say.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.workflows.adapt import AdaptSettings, adapt
from results_file import write

LABORATORIES = ("raabin", "chula", "bcisc", "cellavision")
PER_CLASS, DRAWS, ENOUGH = 20, 5, 5


def split(cells: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, str]:
    """The cells with a split: at most 20, and at most half, of each class are labelled."""
    drawn_in = pl.int_range(pl.len()).shuffle(seed).over("code")
    ranked = cells.with_columns(rank=drawn_in, many=pl.len().over("code"))
    labelled = pl.col("rank") < pl.min_horizontal(PER_CLASS, pl.col("many") // 2)
    drawn = ranked.with_columns(split=pl.when(labelled).then(pl.lit("train")).otherwise(pl.lit("test")))
    touched = drawn.filter(split="train")["group"].drop_nulls().unique()
    apart = drawn.filter((pl.col("split") == "train") | ~pl.col("group").is_in(touched.implode()))
    judged = apart.filter(split="test")["code"].value_counts()
    if len(judged) == drawn["code"].n_unique() and judged["count"].min() >= ENOUGH:
        return apart, "other slides or fields"
    return drawn, "any other cell"


def main() -> None:
    runs = Path(sys.argv[1])
    figures: dict[str, object] = {}
    for laboratory in LABORATORIES:
        cells = open_dataset(laboratory, data_folder() / "cells" / laboratory).drop_nulls("code")
        model = runs / f"not-{laboratory}" / "seed0" / "model" / "bundle"
        before, after, ece, seconds, judged, labelled = [], [], [], [], "", 0
        for seed in range(DRAWS):
            with tempfile.TemporaryDirectory() as scratch:
                table, judged = split(cells, seed)
                manifest = Path(scratch) / "labels.csv"
                table.select("path", "code", "group", "split").write_csv(manifest)
                start = time.perf_counter()
                found = adapt(AdaptSettings(labels=manifest, model=str(model)), Path(scratch) / "run")
                seconds.append(time.perf_counter() - start)
            labelled = found.cells
            before.append(found.before.classes.balanced_accuracy.value)
            after.append(found.after.classes.balanced_accuracy.value)
            ece.append(found.after.calibration.ece.value)
        figures[laboratory] = {
            "labelled": labelled, "judged": judged, "balanced_accuracy_before": round(float(np.mean(before)), 4),
            "balanced_accuracy_after": round(float(np.mean(after)), 4),
            "deviation_between_draws": round(float(np.std(after, ddof=1)), 4),
            "ece_after": round(float(np.mean(ece)), 4), "seconds": round(float(np.median(seconds)), 1),
        }  # fmt: skip
        print(laboratory, figures[laboratory], flush=True)
    for name in ("balanced_accuracy_before", "balanced_accuracy_after"):
        figures[f"mean_{name}"] = round(float(np.mean([figures[each][name] for each in LABORATORIES])), 4)  # type: ignore[index]
    write("adapt", figures)


if __name__ == "__main__":
    main()
