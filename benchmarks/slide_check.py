"""Slide check: detection of a laboratory left out, and false alarms in known ones.

    LEUKOPY_DATA=... python benchmarks/slide_check.py runs/transfer [--model default]

``runs/transfer`` is what ``leukopy study transfer configs/transfer.yaml`` wrote: the classes that its models gave
to the cells of laboratories they never saw are those that the looks are corrected by, and their accuracy is what the
distance is held against. A slide is 50 cells: those of one day in Raabin, of one patient in lymphocytosis, by chance
elsewhere. Nothing was fitted to the laboratory that a row leaves out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from leukopy.bundle import Bundle, SlideCheck, open_bundle
from leukopy.core.errors import ImageError
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.imaging.appearance import measure_appearance
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference import activations
from leukopy.network.probabilities import calibrated
from leukopy.slides.fit_check import SlideCheckSettings, fit_slide_check
from leukopy.slides.laboratory_check import ENOUGH_CELLS, AppearanceSum, SlideDistance, class_free, nearest_laboratory
from leukopy.taxonomy import COARSE, FINE, coarse_matrix, find
from results_file import write

LABORATORIES = ("pbc", "raabin", "chula", "bcisc", "cellavision")
PATIENTS = "lymphocytosis"
SLIDE = 50
REPEATS = 10
HOW = SlideCheckSettings()


@dataclass(frozen=True)
class Cells:
    """N cells."""

    table: pl.DataFrame
    """``source``, ``path``, ``group`` and coarse ``code``."""
    appearance: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.bool_]) -> Cells:
        return Cells(self.table.filter(rows), self.appearance[rows])

    def of(self, column: str) -> NDArray[np.str_]:
        return self.table[column].fill_null("").to_numpy().astype(str)


def read(spec: Preprocess, rng: np.random.Generator) -> Cells:
    """3,000 cells of PBC, 50 of each lymphocytosis patient, all others."""
    tables = []
    for source in LABORATORIES:
        cells = open_dataset(source, data_folder() / "cells" / source).with_columns(source=pl.lit(source))
        cells = cells.filter(pl.col("code").is_in([cell.code for cell in (*FINE, *COARSE)]))
        tables.append(cells[np.sort(rng.permutation(len(cells))[:3000])])
    patients = open_dataset(PATIENTS, data_folder() / "patients" / PATIENTS).with_columns(source=pl.lit(PATIENTS))
    for patient in patients.partition_by("group", maintain_order=True):
        tables.append(patient[np.sort(rng.permutation(len(patient))[:SLIDE])])
    table = pl.concat(tables).select("source", "path", "group", "code")
    table = table.with_columns(code=pl.col("code").fill_null("LY"))  # of lymphocytosis: all are lymphocytes

    def appearance(path: str) -> NDArray[np.float32] | None:
        try:
            return measure_appearance(read_cell(Path(path), spec).pixels[None])[0]
        except ImageError:
            return None

    with ThreadPoolExecutor() as pool:
        appearance = list(pool.map(appearance, table["path"]))
    read_rows = [row for row, one in enumerate(appearance) if one is not None]
    table = table[read_rows].with_columns(code=pl.col("code").map_elements(coarse, return_dtype=pl.String))
    return Cells(table, np.array([appearance[row] for row in read_rows]))


def coarse(code: str) -> str:
    return str(find(code).coarse)


def fit(cells: Cells) -> SlideCheck:
    return fit_slide_check(cells.appearance, cells.of("code"), cells.of("source"), HOW)


def slides(cells: Cells, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Rows of each slide: by group where three groups or more have cells enough, else 40 times 50 by chance."""
    groups = cells.of("group")
    found = [np.flatnonzero(groups == name) for name in np.unique(groups) if name]
    found = [rows for rows in found if len(rows) >= ENOUGH_CELLS]
    return found if len(found) >= 3 else [rng.permutation(len(groups))[:SLIDE] for _ in range(40)]


def distances(
    check: SlideCheck, cells: Cells, classes: NDArray[np.str_], chosen: list[NDArray[np.intp]]
) -> list[SlideDistance]:
    free = class_free(cells.appearance, classes.tolist(), check)
    found = []
    for rows in chosen:
        slide = AppearanceSum()
        slide.add(free[rows])
        found.append(nearest_laboratory(slide, check))
    return [one for one in found if one is not None]


def summary(found: list[SlideDistance]) -> dict[str, object]:
    values = np.array([one.distance for one in found])
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95]).round(2)
    over = round(float((values > 1).mean()), 3)
    return {
        "slides": len(values), "median": float(middle), "5_to_95_percent": [float(low), float(high)],
        "share_over_1": over,
    }  # fmt: skip


def halves(cells: Cells, rng: np.random.Generator) -> NDArray[np.bool_]:
    """About half of the groups of each laboratory; of the cells where no group is known."""
    names = [f"{source}/{group}" if group else path for source, group, path in
             zip(cells.of("source"), cells.of("group"), cells.of("path"), strict=True)]  # fmt: skip
    side = {name: rng.random() < 0.5 for name in dict.fromkeys(names)}
    return np.array([side[name] for name in names])


def predictions(transfer: Path, arm: str, cells: Cells) -> tuple[NDArray[np.str_], NDArray[np.bool_]] | None:
    """The coarse class that a model of the transfer gave to each cell (its label where none), and whether it did."""
    source = cells.of("source")[0]
    file = transfer / arm / "seed0" / source / "predictions.parquet"
    if not file.exists():
        return None
    given = pl.read_parquet(file, columns=["cell_id", "coarse"]).with_columns(
        key=pl.col("cell_id").str.split("/").list.slice(-2).list.join("/")
    )
    by_key = dict(given.select("key", "coarse").iter_rows())
    found = [by_key.get("/".join(Path(path).parts[-2:])) for path in cells.of("path")]
    classes = np.array([one or own for one, own in zip(found, cells.of("code"), strict=True)])
    return classes, np.array([one is not None for one in found])


def balanced(truth: NDArray[np.str_], found: NDArray[np.str_]) -> float:
    return float(np.mean([(found[truth == code] == code).mean() for code in np.unique(truth)]))


def left_out(cells: Cells, transfer: Path, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    """Each laboratory in turn unknown to the check, which knows half of the slides of each of the others."""
    of_laboratory = cells.of("source")
    half = halves(cells, rng)
    for name in LABORATORIES:
        known = np.isin(of_laboratory, LABORATORIES) & (of_laboratory != name)
        check = fit(cells[known & half])
        own = cells[of_laboratory == name]
        given = predictions(transfer, f"not-{name}", own)
        classes = own.of("code") if given is None else given[0]
        new = distances(check, own, classes, slides(own, rng))
        seen = []
        for other in LABORATORIES:
            if other != name:
                rest = cells[(of_laboratory == other) & ~half]
                seen += distances(check, rest, rest.of("code"), slides(rest, rng))
        patients = cells[of_laboratory == PATIENTS]
        strange = distances(check, patients, patients.of("code"), slides(patients, rng))
        pairs = [(a.distance > b.distance) + (a.distance == b.distance) / 2 for a in new for b in seen]
        limit = float(np.quantile([one.distance for one in seen], 0.95))
        yield {
            "left_out": name,
            "classes": "labels" if given is None else f"those that the model of arm not-{name} gave",
            "unknown": summary(new),
            "known": summary(seen),
            "auroc": round(float(np.mean(pairs)), 3),
            "found_at_5_percent_false": round(float(np.mean([one.distance > limit for one in new])), 3),
            "nearest": max({one.nearest for one in new}, key=[one.nearest for one in new].count),
            "lymphocytosis_unknown": summary(strange),
            **({} if given is None else {"balanced_accuracy_of_that_model": round(
                balanced(own.of("code")[given[1]], classes[given[1]]), 3)}),
        }  # fmt: skip


def between_slides(cells: Cells) -> dict[str, float]:
    """Variance of known slides, in units of the variance between cells (analysis of variance, mean of all axes).

    What ``SlideCheckSettings.between`` was chosen by.
    """
    known = np.isin(cells.of("source"), LABORATORIES)
    check = fit(cells[known])
    found = {}
    for name in ("raabin", "bcisc", PATIENTS):
        own = cells[cells.of("source") == name]
        free = class_free(own.appearance, own.of("code").tolist(), check).to_numpy().astype(np.float64)
        groups = own.of("group")
        parts = [free[groups == group] for group in np.unique(groups) if (groups == group).sum() >= 5]
        freedom = sum(len(part) - 1 for part in parts)
        within = sum((part - part.mean(axis=0)).T @ (part - part.mean(axis=0)) for part in parts) / freedom
        by_chance = within * np.mean([1 / len(part) for part in parts])
        between = np.cov(np.array([part.mean(axis=0) for part in parts]).T) - by_chance
        cell = np.cov(free.T)
        found[f"{name}, {len(parts)} slides"] = round(float(np.trace(np.linalg.solve(cell, between)) / len(cell)), 2)
    return found


def known_patients(cells: Cells, rng: np.random.Generator) -> dict[str, object]:
    """Patients of a laboratory of which the check knows other patients: true slides, hence true false alarms."""
    found = []
    for _ in range(REPEATS):
        half = halves(cells, rng)
        check = fit(cells[half])
        rest = cells[~half & (cells.of("source") == PATIENTS)]
        found += distances(check, rest, rest.of("code"), slides(rest, rng))
    return summary(found)


def one_class(cells: Cells, rng: np.random.Generator) -> dict[str, object]:
    """Slides of one class of PBC, the other half of PBC being known."""
    half = halves(cells, rng)
    known = np.isin(cells.of("source"), LABORATORIES)
    check = fit(cells[known & half])
    found: dict[str, object] = {}
    for cell in COARSE:
        own = cells[(cells.of("source") == "pbc") & (cells.of("code") == cell.code) & ~half]
        chosen = [rng.permutation(len(own.appearance))[:SLIDE] for _ in range(20)]
        found[cell.code] = summary(distances(check, own, own.of("code"), chosen))
    return found


def pbc_alone(cells: Cells, transfer: Path, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    """A check that knows PBC alone, and how well the models that learnt from PBC alone do."""
    half = halves(cells, rng)
    check = fit(cells[half & (cells.of("source") == "pbc")])
    for name in (*LABORATORIES, PATIENTS):
        own = cells[(cells.of("source") == name) & ~(half & (name == "pbc"))]
        given = predictions(transfer, "pbc", own)
        classes = own.of("code") if given is None else given[0]
        chosen = slides(own, rng)
        found = distances(check, own, classes, chosen)
        row: dict[str, object] = {"laboratory": name, **summary(found)}
        if given is not None:
            truth = own.of("code")
            row["balanced_accuracy"] = round(balanced(truth[given[1]], classes[given[1]]), 3)
            if name != "pbc":
                right = [(truth[rows] == classes[rows]).mean() for rows in chosen]
                row["rank_correlation_of_distance_and_accuracy_over_slides"] = round(
                    float(spearmanr([one.distance for one in found], right).statistic), 2
                )
        yield row


ALTERATIONS = {
    "as it is": lambda x: x,
    "blurred by 1 px": lambda x: gaussian_filter(x, (0, 1, 1, 0)),
    "blurred by 2 px": lambda x: gaussian_filter(x, (0, 2, 2, 0)),
    "red light at 90 %": lambda x: x * np.array([0.9, 1, 1]),
    "red light at 70 %": lambda x: x * np.array([0.7, 1, 1]),
    "all light at 70 %": lambda x: x * 0.7,
    "stain at 70 %": lambda x: 255 * (x / 255) ** 0.7,
    "stain at 150 %": lambda x: 255 * (x / 255) ** 1.5,
    "blurred by 2 px, red light at 70 %": lambda x: gaussian_filter(x, (0, 2, 2, 0)) * np.array([0.7, 1, 1]),
}


def altered(cells: Cells, bundle: Bundle, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    """PBC's test cells made to look otherwise: the distance, and what the model loses."""
    trained = [source["dataset"] for source in bundle.card.recipe["sources"]]
    check = fit(cells[np.isin(cells.of("source"), trained)])
    test = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(split="test")
    test = test.filter(pl.col("code").is_in([cell.code for cell in (*FINE, *COARSE)]))
    test = test[np.sort(rng.permutation(len(test))[:800])]
    truth = np.array([coarse(code) for code in test["code"]])
    with ThreadPoolExecutor() as pool:
        pictures = np.stack(list(pool.map(lambda path: read_cell(Path(path), bundle.card.preprocess).pixels,
                                          test["path"])))  # fmt: skip
    codes = np.array([cell.code for cell in COARSE])
    for name, alter in ALTERATIONS.items():
        changed = np.concatenate([np.clip(np.rint(alter(part.astype(np.float32))), 0, 255).astype(np.uint8)
                                  for part in np.array_split(pictures, 20)])  # fmt: skip
        outputs = activations(bundle, changed, bundle.card.calibration.outputs)
        found = codes[(calibrated(bundle.card.calibration, outputs) @ coarse_matrix()).argmax(axis=1)]
        slide = AppearanceSum()
        slide.add(class_free(measure_appearance(changed), found.tolist(), check))
        judged = nearest_laboratory(slide, check)
        assert judged is not None
        yield {"pictures": name, "distance": judged.distance, "nearest": judged.nearest,
               "balanced_accuracy": round(balanced(truth, found), 3)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transfer", type=Path)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    bundle = open_bundle(options.model)
    rng = np.random.default_rng(0)
    cells = read(bundle.card.preprocess, rng)
    figures = {
        "settings": HOW.model_dump(mode="json"),
        "cells": dict(cells.table["source"].value_counts(sort=True).iter_rows()),
        "between_slides": between_slides(cells),
        "left_out": list(left_out(cells, options.transfer, rng)),
        "lymphocytosis_known": known_patients(cells, rng),
        "one_class_of_pbc": one_class(cells, rng),
        "pbc_alone": list(pbc_alone(cells, options.transfer, rng)),
        "pbc_test_altered": list(altered(cells, bundle, rng)),
    }
    for name in ("left_out", "pbc_alone", "pbc_test_altered"):
        for row in figures[name]:  # type: ignore[attr-defined]
            print(row)
    print("between slides", figures["between_slides"])
    print("known patients", figures["lymphocytosis_known"])
    print("one class", figures["one_class_of_pbc"])
    print(write("slide_check", figures))


if __name__ == "__main__":
    main()
