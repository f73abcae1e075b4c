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
from leukopy.evaluation.classification import confusions
from leukopy.evaluation.intervals import Estimate
from leukopy.evaluation.levels import Evaluation, Level
from leukopy.reports.confusion import write_confusion_csv, write_confusion_png
from leukopy.reports.reliability import write_reliability
from leukopy.taxonomy import find

CONFUSIONS_QUOTED = 10
"""Pairs of classes in the summary; ``confusions.csv`` holds them all."""


def write_evaluation(folder: Path, evaluation: Evaluation, provenance: Mapping[str, Any]) -> None:
    """Write ``report.json``, ``per_class.csv``, ``confusions.csv``, ``summary.md``, pictures and tables of each level.

    ``agreement.csv`` comes on top where two annotators were compared.

    Args:
        folder: receives the files.
        evaluation: what was measured.
        provenance: ``command``, ``commit`` and ``machine`` are quoted in the summary.

    Raises:
        OutputError: they cannot be written.
    """
    write_json(folder / "report.json", _report(evaluation))
    write_text(folder / "per_class.csv", pl.DataFrame(_class_rows(evaluation)).write_csv(float_precision=4))
    write_text(folder / "confusions.csv", _confusion_table(evaluation).write_csv(float_precision=4))
    if evaluation.agreement:
        write_text(folder / "agreement.csv", pl.DataFrame(_agreement_rows(evaluation)).write_csv(float_precision=4))
    for level in evaluation.levels:
        stem, confusion = f"confusion_{level.key}", level.classification.confusion
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
        f"{counts['unlabelled']:,} have no label, {counts['outside']:,} are outside the classes, "
        f"{counts.get('learnt', 0):,} were learnt from and left out. "
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
    lines += [
        *_set_lines(evaluation),
        *_summing_lines(evaluation),
        *_confusion_lines(evaluation),
        *_agreement_lines(evaluation),
    ]
    quoted = [f"- {name}: `{provenance[name]}`" for name in ("command", "commit", "machine", "created")]
    return "\n".join([*lines, "", *quoted, f"- {RESEARCH_USE_ONLY}", ""])


def _set_lines(evaluation: Evaluation) -> list[str]:
    sets = evaluation.fine.sets if evaluation.fine else None
    if sets is None:
        return []
    return [
        "",
        "## Sets of classes",
        "",
        f"Sets made to hold the class of 90 % of cells, at the fine classes: they hold it in {show(sets.coverage)} of "
        f"{sets.images:,} images. {sets.size:.2f} classes in a set on average; {sets.single:.3f} of them hold one.",
    ]


def _summing_lines(evaluation: Evaluation) -> list[str]:
    sums = evaluation.summing
    if sums is None:
        return []
    return [
        "",
        "## Coarse against fine classes",
        "",
        f"The same predictions of the same {sums.images:,} images: accuracy {show(sums.fine_accuracy)} at the fine "
        f"classes, {show(sums.coarse_accuracy)} at the coarse ones, a gain of {show(sums.gain)}. "
        f"{sums.vanished:,} of {sums.errors:,} errors vanish.",
        "",
        "| class | images | fine errors | vanish at the coarse level |",
        "|---|---|---|---|",
        *(
            f"| {find(row.code).name} ({row.code}) | {row.images:,} | {row.errors:,} | {row.vanished:,} |"
            for row in sums.classes
            if row.images
        ),
    ]


def _confusion_lines(evaluation: Evaluation) -> list[str]:
    level = evaluation.levels[-1]
    found = confusions(level.classification.confusion, level.classes)[:CONFUSIONS_QUOTED]
    if not found:
        return []
    return [
        "",
        f"## Most frequent confusions, {level.name}",
        "",
        "| truth | predicted | images | % of the truth |",
        "|---|---|---|---|",
        *(f"| {pair.truth} | {pair.predicted} | {pair.images:,} | {100 * pair.share:.1f} |" for pair in found),
    ]


def _agreement_lines(evaluation: Evaluation) -> list[str]:
    if not evaluation.agreement:
        return []
    return [
        "",
        "## Agreement",
        "",
        "| between | level | images | Cohen's kappa | raw agreement |",
        "|---|---|---|---|---|",
        *(
            f"| {pair.first} and {pair.second} | {pair.level} | {pair.images:,} "
            f"| {show(pair.kappa)} | {show(pair.raw)} |"
            for pair in evaluation.agreement
        ),
    ]


def _report(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "notice": RESEARCH_USE_ONLY,
        "model": evaluation.model,
        "data": evaluation.data,
        "split": evaluation.split,
        "images": dict(evaluation.counts),
        "intervals": f"95 %, percentile bootstrap by {evaluation.drawn_by}",
        "levels": {level.key: _level(level) for level in evaluation.levels},
        "coarse gain": None if evaluation.summing is None else asdict(evaluation.summing),
        "agreement": [{**asdict(pair), "table": pair.table.tolist()} for pair in evaluation.agreement],
        "notes": list(evaluation.notes),
    }


def _level(level: Level) -> dict[str, Any]:
    bins = level.calibration.reliability
    return {
        "images": level.classification.images,
        **{name: asdict(estimate) for name, estimate in averages(level).items()},
        "classes": {score.code: asdict(score) for score in level.classification.classes},
        **({"sets of 90 %": asdict(level.sets)} if level.sets else {}),
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
                "level": level.key, "code": score.code, "name": find(score.code).name, "images": score.support,
            }  # fmt: skip
            rows.append(row | _spread(precision=score.precision, recall=score.recall, f1=score.f1))
    return rows


def _confusion_table(evaluation: Evaluation) -> pl.DataFrame:
    rows = [
        {"level": level.key, **asdict(pair)}
        for level in evaluation.levels
        for pair in confusions(level.classification.confusion, level.classes)
    ]
    types = {"level": pl.String, "truth": pl.String, "predicted": pl.String, "images": pl.Int64, "share": pl.Float64}
    return pl.DataFrame(rows, schema=types)


def _agreement_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A row for all classes of a pair of readers, ``code`` all, then one for each class."""
    rows = []
    for pair in evaluation.agreement:
        named = {"level": pair.level, "first": pair.first, "second": pair.second}
        rows.append({**named, "code": "all", "images": pair.images, **_spread(agreement=pair.raw, kappa=pair.kappa)})
        rows += [
            {**named, "code": row.code, "images": row.first + row.second - row.both,
             **_spread(agreement=row.agreement, kappa=row.kappa)}
            for row in pair.classes
        ]  # fmt: skip
    return rows


def _spread(**estimates: Estimate) -> dict[str, float | None]:
    """Each estimate as three columns."""
    columns: dict[str, float | None] = {}
    for name, found in estimates.items():
        columns |= {name: found.value, f"{name}_low95": found.low, f"{name}_high95": found.high}
    return columns
