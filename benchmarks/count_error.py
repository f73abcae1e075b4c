"""How often do the limits of a differential hold the truth, by sampling alone and with classification error?

    LEUKOPY_DATA=... python benchmarks/count_error.py runs/count-error

``runs/count-error`` is the run of ``leukopy model fit-count-error`` for the model that ships. Patients of hopkins: each
part of them by the confusion of the others, the share of a line being that of the labels of the same cells, so that the
coverage by sampling alone shows what classification costs. PBC: its test cells in slides of a usual mixture, by the
confusion of its validation cells; again the truth is that of the same cells. ``rounds``: the same patients
by other numbers of rounds of the unfolding; 20 ship.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leukopy.bundle import CountError, open_bundle
from leukopy.core.files import read_json
from leukopy.evaluation import count_error as unfolding
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.inference.rows import counted_code
from leukopy.slides.count_error import SlideError, with_total_limits
from leukopy.slides.differential import differential
from leukopy.workflows.fit_count_error import FitCountErrorSettings, coverage_left_out
from results_file import write
from served_rows import USUAL, pbc, usual_slides

ROUNDS = (4, 8, 12, 20, 30, 50)
SLIDES = 200


def summary(lines: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Mean over the lines and worst line, by each pair of limits, and the ratio of the mean widths."""
    found: dict[str, Any] = {}
    for name in ("sampling", "total"):
        held = {code: line[name] for code, line in lines.items()}
        worst = min(held, key=lambda code: held[code])
        found[name] = {"mean": round(float(np.mean(list(held.values()))), 4), "worst": held[worst], "line": worst}
    widths = [np.mean([line[f"width_{name}"] for line in lines.values()]) for name in ("total", "sampling")]
    return found | {"ratio_of_widths": round(float(widths[0] / widths[1]), 2)}


def usual(error: CountError, test: pl.DataFrame) -> dict[str, Any]:
    """Coverage of the mixture of 200 slides of PBC's test cells, with exact limits of the worst line's coverage."""
    assert error.home is not None
    leukocytes = sum(USUAL.values())
    truth = {code: 100 * count / leukocytes for code, count in USUAL.items()}
    truth["NEU"] = truth["SNE"] + truth["BNE"]
    rows: dict[str, list[tuple[bool, bool, float, float]]] = {}
    for slide in usual_slides(test, SLIDES, 0):
        counts = Counter(slide.select(counted_code()).to_series().drop_nulls())
        found = with_total_limits(differential(counts), counts, SlideError(error, error.home))
        for line in found.lines:
            if (share := truth.get(line.code)) is not None:
                rows.setdefault(line.code, []).append((
                    line.low <= share <= line.high, line.total_low <= share <= line.total_high,
                    line.high - line.low, line.total_high - line.total_low,
                ))  # fmt: skip
    names = ("sampling", "total", "width_sampling", "width_total")
    lines = {
        code: dict(zip(names, np.mean(held, axis=0).round(4).tolist(), strict=True)) for code, held in rows.items()
    }
    return {"slides": SLIDES, "summary": summary(lines), "lines": lines}


def by_rounds(error: CountError, answers: pl.DataFrame, settings: FitCountErrorSettings) -> dict[str, Any]:
    found, shipped = {}, unfolding.ROUNDS
    for rounds in ROUNDS:
        unfolding.ROUNDS = rounds
        found[str(rounds)] = summary(coverage_left_out(error, answers, settings)["lines"])
    unfolding.ROUNDS = shipped
    return found


def main(run: Path) -> None:
    bundle = open_bundle(run / "bundle")
    error = bundle.card.count_error
    if error is None:
        raise SystemExit(f"{run}: no run of leukopy model fit-count-error.")
    settings = FitCountErrorSettings.build(read_json(run / "run.json")["settings"])
    answers = pl.read_parquet(run / "answers.parquet")
    patients = coverage_left_out(error, answers, settings)
    held = [line["total"] for line in patients["lines"].values()]
    low, high = clopper_pearson(round(min(held) * patients["slides"]), patients["slides"])
    figures = {
        "hopkins, patients left out": {
            "patients": patients["slides"], "summary": summary(patients["lines"]),
            "worst_line_limits": [round(low, 3), round(high, 3)], "lines": patients["lines"],
        },
        "PBC test, usual mixture": usual(error, pbc(bundle, "test")),
        "rounds": by_rounds(error, answers, settings),
    }  # fmt: skip
    print(write("count_error", figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
