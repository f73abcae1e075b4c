"""The lymphocytosis study's figures beside ours, from the result files of the runs.

    python benchmarks/lymphocytosis.py

Measures nothing. Writes ``lymphocytosis.json`` with a row for each model and reading, the table of the page
``docs/study-lymphocytosis.md``, and the plot ``lymphocytosis.png``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt

from results_file import RESULTS, write

PAGE = Path(__file__).parents[1] / "docs" / "study-lymphocytosis.md"
BEGIN, END = "<!-- table: benchmarks/lymphocytosis.py -->", "<!-- end -->"
BEST, LAST = "best epoch of each fold, on that fold", "last epoch"
HELD = "epoch chosen on patients held back"
NESTED = "nested cross-validation"
SMALLER = "the same, smaller: 112 px, 10 epochs, 8 cells a step"


def rows() -> list[dict[str, Any]]:
    """One row for each model and way of reading it; the study's own first."""
    study = "ResNet18 from scratch, mean pooling, age and count"
    return [
        {"model": study, "by": "the study", "reading": BEST, "balanced_accuracy": fmean((0.85, 0.93, 0.88, 0.88, 0.95)),
         "low": 0.85, "high": 0.95, "auc": None, "file": None},
        {"model": study, "by": "the study", "reading": "outside patients (Kaggle)", "balanced_accuracy": 0.83,
         "low": None, "high": None, "auc": None, "file": None},
        *ablated("patients-seed", SMALLER),
        held_back(),
        *ablated("patients-ablation", "frozen embedding, mean pooling, age and count"),
        *cross_validated(),
    ]  # fmt: skip


def ablated(folder: str, title: str) -> Iterator[dict[str, Any]]:
    """The best setting of an ablation: each fold at its best epoch, and at the last one."""
    found: dict[str, dict[int, list[float]]] = {}
    with (RESULTS / folder / "ablation.csv").open() as table:
        for line in csv.DictReader(table):
            folds = found.setdefault(line["setting"], {})
            folds.setdefault(int(line["fold"]), []).append(float(line["balanced_accuracy"]))
    for reading, value_of in ((BEST, max), (LAST, lambda epochs: epochs[-1])):
        setting, values = max(
            ((name, [value_of(epochs) for epochs in folds.values()]) for name, folds in found.items()),
            key=lambda one: fmean(one[1]),
        )
        yield {
            "model": f"{title} ({setting})", "by": "leukopy", "reading": reading, "balanced_accuracy": fmean(values),
            "low": min(values), "high": max(values), "auc": None, "file": f"{folder}/ablation.md",
        }  # fmt: skip


def cross_validated() -> Iterator[dict[str, Any]]:
    """The recipes of `leukopy patients crossval`; each recipe once, from the run with most repeats."""
    best: dict[str, dict[str, Any]] = {}
    for folder in ("patients", "patients-models", "patients-bags"):
        for name, model in json.loads((RESULTS / folder / "report.json").read_text("utf-8"))["models"].items():
            figures = model["figures"]
            if name not in best or figures["repeats"] > best[name]["repeats"]:
                best[name] = figures | {"title": model["title"], "file": f"{folder}/summary.md"}
    for figures in sorted(best.values(), key=lambda one: one["balanced_accuracy"]["value"]):
        accuracy = figures["balanced_accuracy"]
        yield {
            "model": figures["title"], "by": "leukopy",
            "reading": NESTED, "balanced_accuracy": accuracy["value"],
            "low": accuracy["low"], "high": accuracy["high"], "auc": figures["auc"]["value"], "file": figures["file"],
        }  # fmt: skip


def held_back() -> dict[str, Any]:
    """The row of the study's network with the epoch chosen on patients held back, read from its page."""
    text = (RESULTS / "patients-seed-nested" / "ablation.md").read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("| SGD"))
    folds = [float(value) for value in re.findall(r"(0\.\d+) \(", line.split("|")[-2])]
    return {
        "model": f"{SMALLER} ({line.split('|')[1].strip()})", "by": "leukopy",
        "reading": HELD, "balanced_accuracy": fmean(folds), "low": min(folds), "high": max(folds), "auc": None,
        "file": "patients-seed-nested/ablation.md",
    }  # fmt: skip


def table(found: list[dict[str, Any]], prefix: str) -> str:
    """The rows as a table of a page; links begin with ``prefix``."""
    lines = ["| model | reading | balanced accuracy | AUC | file |", "|---|---|---|---|---|"]
    for row in found:
        spread = f" ({_number(row['low'])} to {_number(row['high'])})" if row["low"] is not None else ""
        link = f"[{row['file'].split('/')[0]}]({prefix}{row['file']})" if row["file"] else row["by"]
        accuracy = _number(row["balanced_accuracy"]) + spread
        lines.append(f"| {row['model']} | {row['reading']} | {accuracy} | {_number(row['auc'])} | {link} |")
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


def with_table(page: str, found: list[dict[str, Any]]) -> str:
    """The page of the documentation with the table of these rows between its two marks."""
    before, after = page.split(BEGIN, 1)[0], page.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{table(found, '../benchmarks/results/')}\n{END}{after}"


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Balanced accuracy of every row; of folds their range, of cross-validations the 95 % interval."""
    figure, axes = plt.subplots(figsize=(12, 5.5), layout="constrained")
    for place, row in enumerate(reversed(found)):
        colour = {"the study": "#b3401f"}.get(row["by"], "#1f5fa8" if row["reading"] == NESTED else "#5d6d7e")
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=1.5)
        axes.plot(row["balanced_accuracy"], place, "o", color=colour)
    axes.set_yticks(range(len(found)), [f"{row['model']}: {row['reading']}" for row in reversed(found)], fontsize=7)
    axes.set_xlabel("balanced accuracy (line: range of folds, or 95 % interval)")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    found = rows()
    write("lymphocytosis", {"rows": found})
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), found), "utf-8")
    plot(found, RESULTS / "lymphocytosis.png")
    print(table(found, ""))


if __name__ == "__main__":
    main()
