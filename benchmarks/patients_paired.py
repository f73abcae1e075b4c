"""Two runs of one recipe of patients on the same folds, before and after a change of the code: figures, paired gain.

    leukopy patients train configs/patients/lymphocytosis.yaml --data … --repeats 20 --out runs/before  # old commit
    leukopy patients train configs/patients/lymphocytosis.yaml --data … --repeats 20 --out runs/after
    python benchmarks/patients_paired.py runs/before runs/after clinical_bounds

Writes ``results/<name>.json``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

import results_file
from leukopy.core.files import read_json
from leukopy.evaluation.intervals import Estimate
from leukopy.patients.evaluation.crossval import evaluate_patients, paired

FIGURES = ("balanced_accuracy", "sensitivity", "specificity", "auc", "brier")


def rounded(found: Any) -> dict[str, list[float | None]]:
    """Value and 95 % limits of each figure."""
    estimates: dict[str, Estimate] = {name: getattr(found, name) for name in FIGURES}
    return {
        name: [None if number is None else round(number, 4) for number in asdict(estimate).values()]
        for name, estimate in estimates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("name")
    asked = parser.parse_args()
    before, after = (pl.read_parquet(run / "crossval" / "oof.parquet") for run in (asked.before, asked.after))
    models = [name for name in after["model"].unique(maintain_order=True) if not name.startswith("permuted")]
    runs = {"before": asked.before, "after": asked.after}
    commits = {name: read_json(run / "run.json")["provenance"]["commit"] for name, run in runs.items()}
    figures: dict[str, object] = {"commits": commits}
    for model in models:
        old, new = (table.filter(pl.col("model") == model) for table in (before, after))
        figures[model] = {
            "before": rounded(evaluate_patients(old)),
            "after": rounded(evaluate_patients(new)),
            "after less before": rounded(paired(new, old)),
        }
    for name, value in figures.items():
        print(f"{name}: {value}")
    results_file.write(asked.name, figures)


if __name__ == "__main__":
    main()
