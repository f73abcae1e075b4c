"""``leukopy cluster merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Overwrite
from leukopy.core.errors import EXIT_FAILURES


def merge(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Folder or URI of the plan.")],
    out: Annotated[Path, typer.Option(help="Folder for the rows of each slide and the tables of all.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the results of a finished plan: rows by slide, one table of all slides, one of all failures.

    The exit code is 3 where pictures could not be read or slides failed. Examples:

        leukopy cluster merge results/night --out results/night-merged

        leukopy cluster merge s3://bucket/run7 --out run7 --overwrite
    """
    from leukopy.cluster.merge import merge

    with progress_bar() as progress:
        result = merge(plan, out, overwrite=overwrite, progress=progress)
    say(
        f"{result.cells:,} cells of {len(result.slides):,} slides; {result.failures:,} failures, "
        f"{result.failed:,} failed slides."
    )
    say(f"Page: {out / 'slides.html'}. Table: {out / 'slides.parquet'}. Rows: {out / 'cells'}")
    if result.failures or result.failed:
        raise typer.Exit(EXIT_FAILURES)
