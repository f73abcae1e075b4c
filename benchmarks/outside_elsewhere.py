"""Alarms of blasts as served, on slides without a leukaemia: the patients of the lymphocytosis cohort.

    LEUKOPY_DATA=... python benchmarks/outside_elsewhere.py

The head's fit saw 1,600 of these 13,453 cells, as lymphocytes. The cohort's diagnoses are not read.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from leukopy.core.paths import data_folder
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.slides.differential_files import count_cells
from leukopy.workflows.predict import PredictSettings, predict
from results_file import write


def main() -> None:
    with TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.parquet"
        cohort = data_folder() / "patients" / "lymphocytosis" / "trainset"
        predict(PredictSettings(input=cohort, slides=True), rows)
        cells = pl.read_parquet(rows)
    counts = [count_cells(own.lazy()) for own in cells.partition_by("slide")]
    alarms = [count.alarm for count in counts if count.alarm]
    raised = sum(alarm.raised for alarm in alarms)
    low, high = clopper_pearson(raised, len(alarms))
    figures = {
        "patients": len(alarms),
        "alarms": {"count": raised, "value": raised / len(alarms), "low": low, "high": high},
        "cells": len(cells),
        "called a blast": int((cells["fine"] == "BLAST").sum()),
        "called a smudge cell": int((cells["fine"] == "SMUDGE").sum()),
    }
    print(figures, write("outside_elsewhere", figures))


if __name__ == "__main__":
    main()
