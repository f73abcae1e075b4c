"""``leukopy explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table


def explore(  # noqa: PLR0913, PLR0917 (one option per setting)
    out: Annotated[Path, typer.Option(help="Folder for the page and its tables.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MANIFEST...",
            help="One or several of: a manifest (.csv, .parquet); a data set and where it lies (NAME=PATH, names from "
            "`leukopy datasets list`); a folder of images, labelled where its folders are named by class.",
        ),
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="Classes as labelled (fine), or the 8 coarse ones.", show_default="fine")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Whose embeddings are projected.", show_default="default")] = None,
    points: Annotated[int | None, typer.Option(help="Most cells in the projections.", show_default="6000")] = None,
    per_group: Annotated[
        int | None, typer.Option(help="Cells shown of each class and source.", show_default="8")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of samples and projections.", show_default="0")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier exploration, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the exploration that OUT holds.")] = False,
) -> None:
    """Look at cells before any model: light, colour, stains, shape, outliers, projections, on one offline page.

    Sources are compared where several inputs are given. What was measured is kept: after Ctrl-C the same command goes
    on, and a second run takes seconds. Images that cannot be read are listed in `failures.csv` and make the exit code
    3. The page holds small pictures of cells: share it as you would share the images. Examples:

        leukopy explore pbc=data/PBC_dataset_normal_DIB --out explored/pbc

        leukopy explore pbc=data/pbc raabin=data/raabin my_slides.csv --level coarse --out explored/all

        leukopy explore slide3/ --out explored/slide3

        leukopy explore --config explored/pbc/run.json --seed 1 --out explored/again
    """
    from rich.console import Console

    from leukopy.workflows.explore import ExploreSettings, explore

    if not inputs and config is None:
        raise typer.BadParameter("give at least one MANIFEST, or --config with the settings of an earlier exploration")
    changes = {
        "inputs": inputs or None,
        "level": level,
        "model": model,
        "points": points,
        "per_group": per_group,
        "seed": seed,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = ExploreSettings.read(config, **given) if config else ExploreSettings.build(given)
    with progress_bar() as progress:
        result = explore(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result.counts))
    for note in result.notes:
        say(note)
    say(f"Page: {result.report}")
    if result.failures:
        say(f"{result.failures:,} of {result.cells + result.failures:,} images failed: {out / 'failures.csv'}")
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
