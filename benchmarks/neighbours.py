"""Which training cells an index of neighbours should hold: those next to the centres of clusters, or any.

    LEUKOPY_DATA=... python benchmarks/neighbours.py [--model default]

Each validation cell of PBC Barcelona is given the training cells most like it, and their classes are compared with its
own: the share that agrees, and whether the nearest and the majority of five do. Means over the fine classes.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl
from sklearn.cluster import KMeans

from leukopy.bundle import open_bundle
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.explain.neighbours import make_index, nearest, prototypes
from leukopy.inference import embeddings
from leukopy.taxonomy import FINE
from results_file import write

CODES = np.array([cell.code for cell in FINE])
NEIGHBOURS = 5


def next_to_centres(found: np.ndarray, codes: np.ndarray, per_class: int) -> np.ndarray:
    """The cell next to each centre of k-means, class by class."""
    directions = found / np.linalg.norm(found, axis=1, keepdims=True)
    chosen = []
    for code in CODES:
        rows = np.flatnonzero(codes == code)
        clusters = KMeans(min(per_class, len(rows)), n_init=1, max_iter=30, random_state=0)
        chosen.extend(rows[np.unique(clusters.fit_transform(directions[rows]).argmin(axis=0))])
    return np.array(chosen)


def score(near: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Means over classes of the codes (N, 5) of the nearest training cells."""
    majority = np.array([max(dict.fromkeys(row), key=list(row).count) for row in near])
    shares = {
        "neighbours that agree": (near == truth[:, None]).mean(axis=1),
        "nearest agrees": near[:, 0] == truth,
        "majority agrees": majority == truth,
    }
    return {
        name: round(float(np.mean([own[truth == code].mean() for code in CODES])), 4) for name, own in shares.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    bundle = open_bundle(options.model)
    cells = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(pl.col("code").is_in(CODES.tolist()))
    sides = {}
    for split in ("train", "val"):
        part = cells.filter(split=split)
        found, failures = embeddings(bundle, part["path"].to_list())
        read = np.setdiff1d(np.arange(len(part)), list(failures))
        sides[split] = found[read], part["code"].to_numpy()[read].astype(str)
    (known, codes), (asked, truth) = sides["train"], sides["val"]
    choices = {"all training cells": np.arange(len(codes))}
    for per_class in (50, 100, 180):
        choices[f"{per_class} of each class by chance"] = prototypes(codes, per_class)
        choices[f"{per_class} of each class next to centres of k-means"] = next_to_centres(known, codes, per_class)
    table = {}
    for name, rows in choices.items():
        index = make_index(bundle, known[rows], codes[rows], codes[rows], "pbc", "")
        near = np.array([[one.code for one in row] for row in nearest(index, asked, NEIGHBOURS)])
        table[name] = {"cells": len(rows), **score(near, truth)}
        print(name, table[name], flush=True)
    data = f"PBC Barcelona: {len(codes):,} training and {len(truth):,} validation cells of known fine class"
    print(write("neighbours", {"model": bundle.card.name, "data": data, "neighbours": NEIGHBOURS, "choices": table}))


if __name__ == "__main__":
    main()
