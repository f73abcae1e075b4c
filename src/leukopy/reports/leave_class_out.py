"""Detection of a class left out of the training by its out-of-distribution score: a table, and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from leukopy.core.files import atomic_path, write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.intervals import Estimate
from leukopy.evaluation.ood import OpenSetScore
from leukopy.taxonomy import find


@dataclass(frozen=True)
class LeftOut:
    """A model that was trained without one class, on cells of all classes."""

    code: str
    score: OpenSetScore
    others: Mapping[str, Estimate]
    """AUROC of simpler scores of the same network, by name."""
    accuracy: float
    """Accuracy on the known cells, at the coarse classes."""
    taken_for: Mapping[str, int]
    """Cells of the class by the coarse class that they are given, the most frequent first."""


def open_set_table(rows: Sequence[LeftOut]) -> pl.DataFrame:
    """A row for each class that was left out."""
    return pl.DataFrame([
        {
            "left_out": row.code, "known": row.score.known, "unknown": row.score.unknown,
            **_limits("auroc", row.score.auroc), **_limits("found", row.score.found),
            **_limits("false", row.score.false), "accuracy_of_known": row.accuracy,
            **{f"auroc, {name}": other.value for name, other in row.others.items()},
            "taken_for": "; ".join(f"{code} {count}" for code, count in row.taken_for.items()),
        }
        for row in rows
    ])  # fmt: skip


def write_open_set(out: Path, title: str, rows: Sequence[LeftOut], facts: Mapping[str, Any]) -> None:
    """Write ``open_set.csv``, ``open_set.json`` (with ``facts``), ``summary.md`` and ``open_set.png``.

    Raises:
        OutputError: they cannot be written.
    """
    table = open_set_table(rows)
    write_text(out / "open_set.csv", table.write_csv(float_precision=4))
    write_json(out / "open_set.json", {"notice": RESEARCH_USE_ONLY, "rows": table.to_dicts(), **facts})
    write_text(out / "summary.md", summary(title, rows))
    _write_png(out / "open_set.png", title, rows)


def summary(title: str, rows: Sequence[LeftOut]) -> str:
    """The table as Markdown, with its means."""
    names = list(rows[0].others) if rows else []
    head = [
        "left out",
        "cells",
        "AUROC",
        *(f"AUROC, {name}" for name in names),
        "found",
        "false",
        "mostly predicted as",
    ]
    lines = [f"# {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        figures = [shown(row.score.auroc), *(f"{row.others[name].value:.3f}" for name in names)]
        shares = [shown(row.score.found), shown(row.score.false)]
        taken_for = next((f"{find(code).name}, {count}" for code, count in row.taken_for.items()), "")
        cells = [find(row.code).name, f"{row.score.unknown:,}", *figures, *shares, taken_for]
        lines.append(f"| {' | '.join(cells)} |")
    if rows:
        aurocs = [
            _mean([row.score.auroc for row in rows]),
            *(_mean([row.others[name] for row in rows]) for name in names),
        ]
        shares = [_mean([getattr(row.score, name) for row in rows]) for name in ("found", "false")]
        lines.append(f"| **mean of {len(rows)}** | | {' | '.join((*aurocs, *shares))} | |")
    lines += [
        "",
        "Each row is a model trained without the class, evaluated on cells of a split not used in training. AUROC: the "
        "chance that a cell of the class has a higher out-of-distribution score than a cell of a known class. Found: "
        "share of its cells flagged unidentified; false: share of the known cells flagged. 95 % intervals.",
        "",
        f"- {RESEARCH_USE_ONLY}",
        "",
    ]
    return "\n".join(lines)


def _limits(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low95": estimate.low, f"{name}_high95": estimate.high}


def shown(estimate: Estimate) -> str:
    """``0.898 (0.850 to 0.930)``; without limits where there are none, as of an area of 1; nothing for nothing."""
    if estimate.value is None:
        return ""
    limits = "" if estimate.low is None else f" ({estimate.low:.3f} to {estimate.high:.3f})"
    return f"{estimate.value:.3f}{limits}"


def _mean(estimates: Sequence[Estimate]) -> str:
    return f"{np.mean([estimate.value for estimate in estimates if estimate.value is not None]):.3f}"


def _number(value: float | None) -> float:
    """For a plot, which leaves not-a-number out."""
    return float("nan") if value is None else value


def _write_png(path: Path, title: str, rows: Sequence[LeftOut]) -> None:
    """Draw the AUROC of each class with its interval, and those of the simpler scores."""
    figure = Figure(figsize=(6.4, 1.4 + 0.42 * len(rows)), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    for name, mark in zip(rows[0].others if rows else (), "x+1", strict=False):
        values = [_number(row.others[name].value) for row in rows]
        axes.plot(values, places, mark, color="0.45", label=name)
    for place, row in zip(places, rows, strict=True):
        auroc = row.score.auroc
        axes.plot([_number(auroc.low), _number(auroc.high)], [place, place], color=find(row.code).colour)
        axes.plot(
            _number(auroc.value), place, "o", color=find(row.code).colour, label="ood_score" if place == 0 else None
        )
    axes.set_yticks(places, [find(row.code).name for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("AUROC: the class left out against the known ones")
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    if rows:
        axes.legend(fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
