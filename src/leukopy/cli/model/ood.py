"""``leukopy model fit-ood``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.fit_ood import OpenSetSettings


@options(OpenSetSettings)
def fit_ood(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    given: Given[OpenSetSettings],
    overwrite: Overwrite = False,
) -> None:
    """Add an out-of-distribution score to a model; cells above the threshold are flagged `unidentified`.

    The network and its classes do not change; it gains one more output. The threshold is set on its validation cells.
    It reads the images of its training recipe. Examples:

        leukopy model fit-ood --out runs/open

        leukopy model fit-ood --model runs/new/bundle --keep-rate 0.98 --out runs/new/open
    """
    from leukopy.reports.evaluation import show
    from leukopy.workflows.fit_ood import fit_open_set

    with progress_bar() as progress:
        result = fit_open_set(given.build(), out, overwrite=overwrite, progress=progress)
    for source, share in result.false.items():
        say(f"Known test cells of {source} flagged unidentified: {show(share, 3)}")
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say_failures(f"{result.failures:,} images could not be read", out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)
