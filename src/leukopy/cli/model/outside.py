"""``leukopy model fit-outside``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.workflows.fit_outside import FitOutsideSettings


@options(FitOutsideSettings)
def fit_outside(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures, evidence of each cell.")],
    given: Given[FitOutsideSettings],
    overwrite: Overwrite = False,
) -> None:
    """Add blasts and smudge cells to the classes of a model.

    The network and its fine classes do not change; it gains one more output. All figures are measured on patients and
    laboratories that the measured head never saw. It reads the images of the sources. Examples:

        leukopy model fit-outside --out runs/outside

        leukopy model fit-outside --model runs/new/bundle --out runs/new/outside
    """
    from leukopy.workflows.fit_outside import fit_outside

    with progress_bar() as progress:
        result = fit_outside(given.build(), out, overwrite=overwrite, progress=progress)
    for metric in result.card.outside.metrics if result.card.outside else ():
        say(f"{metric.name}: {metric.value:.3f} ({metric.data})")
    if result.doubtful:
        say(f"{result.doubtful:,} cells of doubtful label were left out of the fit: {out / 'cells.parquet'}")
    say(f"Bundle: {result.bundle}")
