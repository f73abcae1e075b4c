"""The matrix of training against testing laboratories, as tables and as a picture."""

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
from leukopy.evaluation.levels import Level
from leukopy.evaluation.transfer import Transfer
from leukopy.reports.evaluation import averages

LEVELS = {"held": "of the classes that the laboratory holds", "all": "of all coarse classes"}
"""Classes that the model may answer: the key in the tables -> words."""

_FIGURES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "macro_f1": "macro F1", "ece": "ECE"}


@dataclass(frozen=True)
class TransferRow:
    """One trained model in one laboratory."""

    arm: str
    title: str
    """Title of the arm, for people."""
    seed: int
    laboratory: str
    split: str
    """``all``: the model never saw this laboratory; ``test``: it was trained on the laboratory's other splits."""
    scores: Transfer

    @property
    def levels(self) -> dict[str, Level]:
        """Scores by the keys of ``LEVELS``."""
        return {"held": self.scores.held_classes, "all": self.scores.all_classes}


def transfer_table(rows: Sequence[TransferRow]) -> pl.DataFrame:
    """A row for each model, laboratory and level: its averages with their 95 % limits."""
    return pl.DataFrame([
        {
            "arm": row.arm, "title": row.title, "seed": row.seed, "laboratory": row.laboratory, "split": row.split,
            "answers": key, "images": level.classification.images,
            **{
                column: value
                for name, words in _FIGURES.items()
                for column, value in zip(
                    (name, f"{name}_low95", f"{name}_high95"), _numbers(averages(level)[words]), strict=True
                )
            },
        }
        for row in rows
        for key, level in row.levels.items()
    ])  # fmt: skip


def recall_table(rows: Sequence[TransferRow]) -> pl.DataFrame:
    """A row for each model, laboratory, level and class that the laboratory holds: its recall with 95 % limits."""
    return pl.DataFrame([
        {
            "arm": row.arm, "seed": row.seed, "laboratory": row.laboratory, "answers": key, "code": score.code,
            "images": score.support,
            **dict(zip(("recall", "recall_low95", "recall_high95"), _numbers(score.recall), strict=True)),
        }
        for row in rows
        for key, level in row.levels.items()
        for score in level.classification.classes
        if score.support
    ])  # fmt: skip


def over_seeds(table: pl.DataFrame) -> pl.DataFrame:
    """Means and standard deviations over the seeds: a row for each arm, laboratory and level."""
    figures = [pl.col(name).mean() for name in _FIGURES]
    spread = pl.col("balanced_accuracy").std().alias("deviation")
    keys = ["arm", "title", "laboratory", "split", "answers"]
    return table.group_by(keys, maintain_order=True).agg(pl.len().alias("seeds"), *figures, spread)


def write_transfer(folder: Path, title: str, rows: Sequence[TransferRow], record: Mapping[str, Any]) -> None:
    """Write ``transfer.csv``, ``recalls.csv``, ``transfer.json``, ``summary.md`` and ``transfer.png``.

    Args:
        folder: receives the files.
        title: of the whole.
        rows: every model in every laboratory, at least one.
        record: settings and provenance.

    Raises:
        OutputError: they cannot be written.
    """
    table = transfer_table(rows)
    means = over_seeds(table)
    write_text(folder / "transfer.csv", table.write_csv(float_precision=4))
    write_text(folder / "recalls.csv", recall_table(rows).write_csv(float_precision=4))
    figures = {"notice": RESEARCH_USE_ONLY, "title": title, "figures": means.to_dicts(), **record}
    write_json(folder / "transfer.json", figures)
    write_text(folder / "summary.md", summary(title, means))
    write_transfer_png(folder / "transfer.png", title, means)


def matrix(rows: Sequence[TransferRow], figure: str, answers: str) -> list[list[str]]:
    """A header, then a row for each arm: one figure per laboratory, and its mean over the unseen ones.

    Args:
        rows: every model in every laboratory.
        figure: a column of `over_seeds`, such as ``balanced_accuracy``.
        answers: a key of ``LEVELS``.
    """
    return _matrix(over_seeds(transfer_table(rows)), figure, answers)


def summary(title: str, means: pl.DataFrame) -> str:
    """Balanced accuracy and calibration error of each arm in each laboratory, as Markdown."""
    lines = [f"# {title}", ""]
    for figure, answers in (("balanced_accuracy", "held"), ("balanced_accuracy", "all"), ("ece", "held")):
        header, *rows = _matrix(means, figure, answers)
        lines += [f"## {_FIGURES[figure][0].upper()}{_FIGURES[figure][1:]}, answers {LEVELS[answers]}", ""]
        lines += [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    seeds = max(means["seeds"].to_list())
    lines += [
        f"Means over up to {seeds} seeds, ± their standard deviation. In italics: the test split of a laboratory whose "
        "other splits were trained on. Intervals of each model: `transfer.csv`; recalls: `recalls.csv`.",
        "",
        f"- {RESEARCH_USE_ONLY}",
        "",
    ]
    return "\n".join(lines)


def write_transfer_png(path: Path, title: str, means: pl.DataFrame) -> None:
    """Draw balanced accuracy among the held classes: a row for each arm, a column for each laboratory."""
    held = means.filter(answers="held")
    arms = held["arm"].unique(maintain_order=True).to_list()
    laboratories = held["laboratory"].unique(maintain_order=True).to_list()
    values = np.full((len(arms), len(laboratories)), np.nan)
    for arm, laboratory, value in held.select("arm", "laboratory", "balanced_accuracy").iter_rows():
        values[arms.index(arm), laboratories.index(laboratory)] = value
    titles = dict(held.select("arm", "title").iter_rows())
    figure = Figure(figsize=(4.4 + 0.9 * len(laboratories), 1.6 + 0.42 * len(arms)), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.imshow(values, cmap="RdYlGn", vmin=0.2, vmax=1, aspect="auto")
    axes.set_xticks(range(len(laboratories)), laboratories)
    axes.set_yticks(range(len(arms)), [titles[arm] for arm in arms])
    axes.set_title(f"{title}: balanced accuracy among the classes held", fontsize=9)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _matrix(means: pl.DataFrame, figure: str, answers: str) -> list[list[str]]:
    laboratories = means["laboratory"].unique(maintain_order=True).to_list()
    lines, left_out = [["trained on", *laboratories, "mean of those never seen"]], []
    for arm in means["arm"].unique(maintain_order=True):
        of_arm = means.filter(arm=arm, answers=answers)
        cells = [_cell(of_arm.filter(laboratory=name), figure) for name in laboratories]
        elsewhere = of_arm.filter(split="all")[figure].to_list()
        lines.append([of_arm["title"][0], *cells, f"{np.mean(elsewhere):.3f}" if len(elsewhere) > 1 else ""])
        left_out += elsewhere if len(elsewhere) == 1 else []
    if len(left_out) > 1:
        lines.append(["each time, one left out", *[""] * len(laboratories), f"{np.mean(left_out):.3f}"])
    return lines


def _cell(of_laboratory: pl.DataFrame, figure: str) -> str:
    if of_laboratory.is_empty():
        return ""
    row = of_laboratory.row(0, named=True)
    spread = f" ± {row['deviation']:.3f}" if figure == "balanced_accuracy" and row["seeds"] > 1 else ""
    shown = f"{row[figure]:.3f}{spread}"
    return f"*{shown}*" if row["split"] == "test" else shown


def _numbers(estimate: Any) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high
