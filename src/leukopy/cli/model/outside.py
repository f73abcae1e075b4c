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
    """Add classes outside to a model: blasts and smudge cells.

    The network and its fine classes do not change; it gains one more output. The figures are of patients, and of
    laboratories, that the measured head never saw. The images of the sources must be there. Examples:

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
