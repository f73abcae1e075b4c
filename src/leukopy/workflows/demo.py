"""Demonstration: the main workflow on a drawn slide, next to the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import TRUTH_FILE, DrawSettings, draw
from leukopy.workflows.slide_run import SlideResult

if TYPE_CHECKING:
    import polars as pl


class DemoSettings(Settings):
    """Settings of the drawn slide, and the model that classifies it."""

    cells: int = Field(default=200, ge=1, le=100_000)
    """Cells to draw."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same slide."""
    model: str = "default"
    """A bundled model, or a bundle folder."""


@dataclass(frozen=True)
class DemoResult:
    """The analysis, and how it compares with what was drawn."""

    analysis: SlideResult
    drawn: dict[str, int]
    """Fine class code -> cells drawn, in the order of the taxonomy."""
    right_coarse: int
    """Cells given their coarse class."""
    right_fine: int
    """Cells given their fine class."""


def demo(settings: DemoSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> DemoResult:
    """Draw a slide into ``out/slide``, analyse it into ``out/results``, and compare cell by cell.

    Raises:
        BundleError: the model is absent or broken.
        OutputError: ``out`` holds something else or another demo, or cannot be written.
    """
    import polars as pl

    from leukopy.taxonomy import find

    run = record("demo", settings)
    begin(out, run, overwrite=overwrite)
    slide = draw(DrawSettings(cells=settings.cells, seed=settings.seed), out / "slide", progress=progress)
    analysis = analyze(
        AnalyzeSettings(input=slide.cells, model=settings.model, title="A drawn slide"),
        out / "results",
        progress=progress,
    )
    if not isinstance(analysis, SlideResult):
        raise TypeError("a drawn slide is one slide")
    both = _side_by_side(out)
    coarse = {code: find(code).coarse for code in slide.counts}
    right_coarse = both.filter(pl.col("label").replace_strict(coarse) == pl.col("coarse")).height
    right_fine = both.filter(pl.col("label") == pl.col("fine")).height
    finish(out, run, drawn=slide.counts, right_coarse=right_coarse, right_fine=right_fine)
    return DemoResult(analysis, slide.counts, right_coarse, right_fine)


def _side_by_side(out: Path) -> pl.DataFrame:
    """The truth and the found classes of every cell that was read."""
    import polars as pl

    truth = pl.read_csv(out / "slide" / TRUTH_FILE, columns=["cell_id", "label"])
    found = pl.read_parquet(out / "results" / "cells.parquet", columns=["cell_id", "coarse", "fine"])
    return truth.join(found, on="cell_id", validate="1:1")
