"""A leukaemia hospital that the model never saw: accuracy of known cells, and the share of blasts that it flags.

    LEUKOPY_DATA=... python benchmarks/hospital_left_out.py

The model as served without its classes outside, which alone learnt from this hospital. Each patient is a slide. A cell
is flagged where it is unidentified: neither network nor out-of-distribution score ever met a blast. Intervals are over
patients (jackknife).
"""

from __future__ import annotations

import polars as pl

from leukopy.bundle import open_bundle
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.evaluation.intervals import jackknife
from leukopy.inference.rows import UNIDENTIFIED, has_flag
from leukopy.slides.classifier import Classifier
from leukopy.taxonomy import find
from results_file import write
from served_rows import rows_of


def main() -> None:
    classifier = Classifier(open_bundle("default").healthy)
    cells = open_dataset("hopkins", data_folder() / "cells" / "hopkins").filter(pl.col("code").is_not_null())
    rows = pl.concat(
        rows_of(classifier, own).with_columns(patient=pl.lit(own["group"][0]))
        for own in cells.partition_by("group", maintain_order=True)
    )
    coarse = pl.col("code").map_elements(lambda code: find(code).coarse or "", pl.String())
    rows = rows.with_columns(truth=coarse, flagged=has_flag(UNIDENTIFIED))
    known = rows.filter(pl.col("truth") != "").with_columns(right=pl.col("truth") == pl.col("coarse"))

    def share(part: pl.DataFrame, measure: str) -> dict[str, float]:
        """Of the cells, with limits over patients."""
        units = part.group_by("patient").agg(pl.col(measure).sum(), pl.len()).select(pl.col(measure, "len").cast(float))
        sums = units.to_numpy()
        low, high = jackknife(sums, lambda one: one[:, :1] / one[:, 1:])
        value = sums[:, 0].sum() / sums[:, 1].sum()
        return {
            "cells": len(part),
            "value": round(float(value), 4),
            "low": round(float(low[0]), 4),
            "high": round(float(high[0]), 4),
        }

    figures = {
        "patients": rows["patient"].n_unique(),
        "not served": len(cells) - len(rows),
        "known cells, right of 8 classes, flagged or not": share(known, "right"),
        "known cells that are not flagged, right of 8 classes": share(known.filter(~pl.col("flagged")), "right"),
        "known cells flagged": share(known, "flagged"),
        **{f"{code} flagged": share(rows.filter(pl.col("code") == code), "flagged") for code in ("BLAST", "SMUDGE")},
        "blasts are named": dict(
            rows.filter(pl.col("code") == "BLAST").group_by("coarse").len().sort("len", descending=True).iter_rows()
        ),
    }
    print(figures)
    write("hospital_left_out", figures)


if __name__ == "__main__":
    main()
