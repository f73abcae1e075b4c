"""The page of a consensus: agreement of the annotators, their accuracy, and the cells to adjudicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.core.files import write_text
from leukopy.evaluation.agreement import Agreement
from leukopy.evaluation.intervals import Estimate
from leukopy.reports.evaluation import show
from leukopy.reports.rendering import flat, render
from leukopy.taxonomy import find

SHOWN = 100
"""Doubtful cells listed in the page; ``consensus.csv`` holds all."""


@dataclass(frozen=True)
class AnnotatorRow:
    """One annotator."""

    name: str
    cells: int
    """Number of cells labelled."""
    accuracy: float
    """Estimated chance that a label is right; for CROWDLAB, agreement with the consensus."""


@dataclass(frozen=True)
class ConsensusReport:
    """Agreement of the annotators, and their consensus."""

    method: str
    """``Dawid and Skene`` or ``CROWDLAB``."""
    level: str
    annotators: tuple[AnnotatorRow, ...]
    fleiss: Estimate
    """Fleiss' kappa of all annotators."""
    pairs: tuple[Agreement, ...]
    """Cohen's kappa of each pair that shares cells."""
    cells: pl.DataFrame
    """Rows of ``consensus.csv``, the most doubtful first."""
    notes: tuple[str, ...]

    @property
    def adjudicate(self) -> int:
        """Number of cells to adjudicate."""
        return int(self.cells["adjudicate"].sum())


def write_consensus_page(path: Path, report: ConsensusReport, provenance: Mapping[str, Any]) -> None:
    """Write the page as one HTML file. It names cells and shows no picture: annotators stay blind.

    Raises:
        OutputError: it cannot be written.
    """
    cells = report.cells
    differ = cells.filter(pl.col("code").is_not_null() & pl.col("code").ne_missing(pl.col("majority")))
    counts = cells["code"].drop_nulls().value_counts(sort=True).iter_rows()
    page = render(
        "consensus.html.j2",
        report=report,
        show=show,
        counts=[(find(code), number) for code, number in counts],
        doubtful=cells.filter("adjudicate").head(SHOWN).to_dicts(),
        shown=SHOWN,
        not_majority=differ.height,
        provenance=tuple(flat(provenance)),
    )
    write_text(path, page)
