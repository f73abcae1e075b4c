"""Rows of labelled cells as served, for benchmarks: patients with left-out evidence, and PBC's splits as slides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.files import read_json
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.inference.rows import UNIDENTIFIED, CellInput
from leukopy.network.outside import outside_logits
from leukopy.slides.classifier import Classifier
from leukopy.slides.columns import class_columns, with_flag
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.outside import estimate_shift, with_fine
from leukopy.slides.survey import sample_of
from leukopy.taxonomy import FINE
from leukopy.workflows.fit_outside import holds_outside

USUAL = {"SNE": 115, "BNE": 5, "LY": 56, "MO": 14, "EO": 6, "BA": 2, "IG": 2}
"""Cells of a slide of a usual mixture."""


def rows_of(classifier: Classifier, cells: pl.DataFrame) -> pl.DataFrame:
    """Cells of one slide as served, with their label ``code``; pictures without a single cell are left out."""
    inputs = [CellInput(*cell) for cell in cells.select("cell_id", "path").iter_rows()]
    rows = pl.concat([part.cells for part in classifier.slide(inputs).rows()])
    return rows.filter(pl.col("fine").is_not_null()).join(cells.select("cell_id", "code"), on="cell_id")


def patients(bundle: Bundle, run: Path) -> Iterator[pl.DataFrame]:
    """The cells of each patient, with the classes of networks and heads that did not see the patient.

    Args:
        bundle: the model.
        run: of ``leukopy model fit-outside`` for this model.
    """
    classifier, how = Classifier(bundle), bundle.card.outside
    assert how is not None
    without = read_json(run / "run.json")["settings"].get("fold_models", ())
    folds = [Classifier(open_bundle(one)) for one in without]  # where the network itself learnt from the patients
    for cells in pl.read_parquet(run / "cells.parquet").filter(holds_outside()).partition_by("group"):
        logits = outside_logits(cells["evidence"].to_numpy())
        shift = estimate_shift(logits[sample_of(range(len(cells)))], how) if len(cells) >= ENOUGH_CELLS else ()
        rows = rows_of(classifier, cells)
        own = rows_of(folds[cells["fold"][0]], cells) if folds else rows
        rows = rows.filter(pl.col("cell_id").is_in(own["cell_id"].implode()))
        place = [cells["cell_id"].to_list().index(cell_id) for cell_id in rows["cell_id"]]
        fine = rows.select("cell_id").join(own, on="cell_id", how="left", maintain_order="left")
        fine = fine.select(f"p_{cell.code}" for cell in FINE).to_numpy()
        found = class_columns(
            fine / np.maximum(fine.sum(axis=1, keepdims=True), 1e-12), rows.select("width", "height").to_numpy(),
            bundle.card, with_fine(logits, shift)[place],
        )  # fmt: skip
        strange = (rows["ood_score"].to_numpy() > 1) & np.isin(found["fine"], bundle.card.classes)
        found["flags"] = np.array(with_flag(UNIDENTIFIED, strange, found["flags"].tolist()))
        yield rows.with_columns(pl.Series(name, values).cast(rows.schema[name]) for name, values in found.items())


def pbc(bundle: Bundle, split: str) -> pl.DataFrame:
    """The cells of a split of PBC, served as one slide."""
    cells = open_dataset("pbc", data_folder() / "cells" / "pbc")
    return rows_of(Classifier(bundle), cells.filter(pl.col("code").is_not_null(), pl.col("split") == split))


def usual_slides(cells: pl.DataFrame, slides: int, seed: int) -> Iterator[pl.DataFrame]:
    """Slides of `USUAL`, drawn from cells; a cell stands on many slides, and twice on one where a class is small."""
    rng = np.random.default_rng(seed)
    members = {"IG": ("MMY", "MY", "PMY")}
    pools = {code: np.flatnonzero(cells["code"].is_in(members.get(code, (code,))).to_numpy()) for code in USUAL}
    for _ in range(slides):
        chosen = [rng.choice(pool, USUAL[code], replace=len(pool) < USUAL[code]) for code, pool in pools.items()]
        yield cells[np.concatenate(chosen).tolist()]
