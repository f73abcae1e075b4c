"""The files of an evaluation: every figure with its interval, for programs, spreadsheets and people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leukopy.core.files import write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.intervals import Estimate
from leukopy.evaluation.levels import Evaluation, Level
from leukopy.reports.confusion import write_confusion_csv, write_confusion_png
from leukopy.reports.reliability import write_reliability
from leukopy.taxonomy import find


def write_evaluation(folder: Path, evaluation: Evaluation, provenance: Mapping[str, Any]) -> None:
    """Write ``report.json``, ``per_class.csv``, ``summary.md``, and the pictures and tables of each level.

    Args:
        folder: receives the files.
        evaluation: what was measured.
        provenance: ``command``, ``commit`` and ``machine`` are quoted in the summary.

    Raises:
        OutputError: they cannot be written.
    """
    write_json(folder / "report.json", _report(evaluation))
    write_text(folder / "per_class.csv", pl.DataFrame(_class_rows(evaluation)).write_csv(float_precision=4))
    for level in evaluation.levels:
        stem, confusion = f"confusion{len(level.classes)}", level.classification.confusion
        write_confusion_csv(folder / f"{stem}.csv", confusion, level.classes)
        title = f"{evaluation.model} on {evaluation.data}, {evaluation.split}"
        write_confusion_png(folder / f"{stem}.png", confusion, level.classes, title)
    write_reliability(folder / "reliability.png", evaluation.levels)
    write_text(folder / "summary.md", summary(evaluation, provenance))


def averages(level: Level) -> dict[str, Estimate]:
    """The figures over all classes, by name, in the order they are printed."""
    return {
        "accuracy": level.classification.accuracy,
        "balanced accuracy": level.classification.balanced_accuracy,
        "macro F1": level.classification.macro_f1,
        "ECE": level.calibration.ece,
        "Brier score": level.calibration.brier,
    }


def show(estimate: Estimate, digits: int = 4) -> str:
    """``0.9890 (0.9850 to 0.9930)``, or a dash where the data cannot tell."""
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def summary(evaluation: Evaluation, provenance: Mapping[str, Any]) -> str:
    """The figures as Markdown, with the command, the commit and the machine."""
    counts = evaluation.counts
    lines = [
        f"# {evaluation.model} on {evaluation.data}, {evaluation.split}",
        "",
        f"{counts['scored']:,} of {counts['listed']:,} images scored; {counts['failed']:,} could not be read, "
        f"{counts['unlabelled']:,} have no label, {counts['outside']:,} are outside the classes. "
        f"In brackets: 95 % intervals, bootstrapped by {evaluation.drawn_by}.",
        "",
        "| | " + " | ".join(f"{level.name} ({level.classification.images:,})" for level in evaluation.levels) + " |",
        "|---" * (1 + len(evaluation.levels)) + "|",
    ]
    for name in averages(evaluation.coarse):
        lines.append(f"| {name} | " + " | ".join(show(averages(level)[name]) for level in evaluation.levels) + " |")
    for level in evaluation.levels:
        lines += ["", f"## {level.name}", "", "| class | images | F1 | precision | recall |", "|---|---|---|---|---|"]
        lines += [
            f"| {find(score.code).name} ({score.code}) | {score.support:,} | {show(score.f1)} | "
            f"{show(score.precision)} | {show(score.recall)} |"
            for score in level.classification.classes
            if score.support
        ]
    quoted = [f"- {name}: `{provenance[name]}`" for name in ("command", "commit", "machine", "created")]
    return "\n".join([*lines, "", *quoted, f"- {RESEARCH_USE_ONLY}", ""])


def _report(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "notice": RESEARCH_USE_ONLY,
        "model": evaluation.model,
        "data": evaluation.data,
        "split": evaluation.split,
        "images": dict(evaluation.counts),
        "intervals": f"95 %, percentile bootstrap by {evaluation.drawn_by}",
        "levels": {level.name: _level(level) for level in evaluation.levels},
    }


def _level(level: Level) -> dict[str, Any]:
    bins = level.calibration.reliability
    return {
        "images": level.classification.images,
        **{name: asdict(estimate) for name, estimate in averages(level).items()},
        "classes": {score.code: asdict(score) for score in level.classification.classes},
        "confusion": level.classification.confusion.tolist(),
        "reliability": {
            "edges": bins.edges.tolist(),
            "images": bins.images.tolist(),
            "confidence": _or_none(bins.confidence),
            "accuracy": _or_none(bins.accuracy),
        },
    }


def _or_none(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for level in evaluation.levels:
        for score in level.classification.classes:
            row: dict[str, Any] = {
                "level": len(level.classes), "code": score.code, "name": find(score.code).name, "images": score.support,
            }  # fmt: skip
            for name in ("precision", "recall", "f1"):
                estimate: Estimate = getattr(score, name)
                row |= {name: estimate.value, f"{name}_low95": estimate.low, f"{name}_high95": estimate.high}
            rows.append(row)
    return rows
