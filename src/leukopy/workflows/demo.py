"""Demonstration: the main workflow on drawn fields of one slide, next to the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields
from leukopy.workflows.slide_run import SlideResult

if TYPE_CHECKING:
    import polars as pl

_VISIBLE = 0.5
"""Share of a drawn object that a field must show, for it to be compared."""


class DemoSettings(Settings):
    """Settings of the drawn fields, and the model that classifies their cells."""

    fields: int = Field(default=20, ge=1, le=10_000)
    """Fields to draw, each with about 8 leukocytes."""
    seed: int = Field(default=1, ge=0)
    """The same seed draws the same fields."""
    model: str = "default"
    """A bundled model, or a bundle folder."""


@dataclass(frozen=True)
class DemoResult:
    """The analysis, and how it compares with what was drawn."""

    analysis: SlideResult
    drawn: dict[str, int]
    """Fine class code -> nucleated cells drawn of which half or more is visible, in the order of the taxonomy."""
    objects: dict[str, tuple[int, int]]
    """Kind of object -> number drawn of which half or more is visible, and number counted."""
    located: int
    """Drawn nucleated cells that were found where they lie."""
    right_coarse: int
    """Of these, cells given their coarse class."""
    right_fine: int
    """Of these, cells given their fine class."""


def demo(settings: DemoSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> DemoResult:
    """Draw fields into ``out/slide``, analyse them into ``out/results``, and compare cell by cell.

    Raises:
        BundleError: the model is absent or broken.
        OutputError: ``out`` holds something else or another demo, or cannot be written.
    """
    import polars as pl

    from leukopy.fields.tables import OBJECTS_FILE
    from leukopy.taxonomy import FINE, find
    from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS

    run = record("demo", settings)
    begin(out, run, overwrite=overwrite)
    slide = draw_fields(
        DrawFieldsSettings(fields=settings.fields, seed=settings.seed), out / "slide", progress=progress
    )
    analysis = analyze(
        AnalyzeSettings(input=slide.fields, input_kind="fields", model=settings.model, title="A drawn slide"),
        out / "results",
        progress=progress,
    )
    if not isinstance(analysis, SlideResult):
        raise TypeError("drawn fields are of one slide")
    truth = pl.read_csv(slide.truth).filter(pl.col("visible") >= _VISIBLE)
    found = pl.read_parquet(analysis.folder / OBJECTS_FILE).filter("counted")
    cells = pl.read_parquet(analysis.folder / "cells.parquet", columns=["cell_id", "coarse", "fine"])
    pairs = _pairs(truth.filter(kind=LEUKOCYTE), found.filter(kind=LEUKOCYTE)).join(cells, on="cell_id", how="left")
    classes = truth.filter(kind=LEUKOCYTE)["class"].to_list()
    coarse = {cell.code: find(cell.code).coarse for cell in FINE}
    result = DemoResult(
        analysis,
        {cell.code: classes.count(cell.code) for cell in FINE if cell.code in classes},
        {kind: (truth.filter(kind=kind).height, found.filter(kind=kind).height) for kind in OBJECTS},
        located=pairs.height,
        right_coarse=pairs.filter(pl.col("class").replace_strict(coarse) == pl.col("coarse")).height,
        right_fine=pairs.filter(pl.col("class") == pl.col("fine")).height,
    )
    finish(
        out, run, drawn=result.drawn, located=result.located, right_coarse=result.right_coarse,
        right_fine=result.right_fine,
    )  # fmt: skip
    return result


def _pairs(truth: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Drawn cells (columns of ``fields.csv``) that were found where they lie, each with the ``cell_id`` of its find."""
    import numpy as np
    import polars as pl
    from scipy.optimize import linear_sum_assignment

    from leukopy.evaluation.detection import OVERLAP, overlaps

    parts = []
    for (field,), drawn in truth.group_by("field", maintain_order=True):
        own = found.filter(field=field)
        boxes = own.select("box_x", "box_y", "box_width", "box_height").to_numpy().astype(np.float32)
        marked = drawn.select("left", "top", "width", "height").to_numpy().astype(np.float32)
        shared, _ = overlaps(marked, boxes)
        rows, columns = linear_sum_assignment(shared, maximize=True)
        good = shared[rows, columns] >= OVERLAP
        parts.append(drawn[rows[good].tolist()].with_columns(own["cell_id"][columns[good].tolist()]))
    return pl.concat(parts) if parts else truth.with_columns(cell_id=pl.lit(None, pl.String))
