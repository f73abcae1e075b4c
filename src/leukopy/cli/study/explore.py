"""``leukopy study explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.explore import ExploreSettings

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table


@options(ExploreSettings, {"inputs": argument("MANIFEST")})
def explore(
    out: Annotated[Path, typer.Option(help="Folder for the page and its tables.")],
    given: Given[ExploreSettings],
    overwrite: Overwrite = False,
) -> None:
    """Show light, colour, stain, shape, outliers and projections of cells on one offline page, before any model.

    Sources are compared where several inputs are given. Measures are cached: after Ctrl-C the same command resumes, and
    a second run takes seconds. Images that cannot be read are listed in `failures.csv` and make the exit code
    3. The page holds small pictures of cells: share it as you would share the images. Examples:

        leukopy study explore pbc=data/PBC_dataset_normal_DIB --out explored/pbc

        leukopy study explore pbc=data/pbc raabin=data/raabin my_slides.csv --level coarse --out explored/all

        leukopy study explore slide3/ --out explored/slide3

        leukopy study explore --config explored/pbc/run.json --seed 1 --out explored/again
    """
    from rich.console import Console

    from leukopy.workflows.explore import explore

    with progress_bar() as progress:
        result = explore(given.build(), out, overwrite=overwrite, progress=progress)
    Console().print(_table(result.counts))
    for note in result.notes:
        say(note)
    say(f"Page: {result.report}")
    if result.failures:
        say_failures(f"{result.failures:,} of {result.cells + result.failures:,} images failed", out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)


def _table(counts: pl.DataFrame) -> Table:
    """Cells by class (rows) and source (columns)."""
    from rich.table import Table
    from rich.text import Text

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    sources = sorted(set(counts["source"]))
    table = Table("class", title="Cells by class and source", caption=RESEARCH_USE_ONLY)
    for source in sources:
        table.add_column(Text(source), justify="right")
    for (name,), rows in counts.group_by("name", maintain_order=True):
        found = dict(rows.select("source", "cells").iter_rows())
        table.add_row(str(name), *(f"{found[source]:,}" if source in found else "–" for source in sources))
    return table
