"""``leukopy model fit-count-error``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.workflows.fit_count_error import FitCountErrorSettings


@options(FitCountErrorSettings)
def fit_count_error(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures, answer to each cell.")],
    given: Given[FitCountErrorSettings],
    overwrite: Overwrite = False,
) -> None:
    """Add the classification error to the limits of a differential, beside the sampling error.

    The network does not change; its card gains the confusion between classes on patients that it has not seen. Run it
    after fit-outside: it reads its evidence, and the pictures of these patients. Examples:

        leukopy model fit-count-error --evidence runs/outside/cells.parquet --out runs/count-error

        leukopy model fit-count-error --model runs/outside/bundle --out runs/count-error
    """
    from leukopy.workflows.fit_count_error import fit_count_error

    with progress_bar() as progress:
        result = fit_count_error(given.build(), out, overwrite=overwrite, progress=progress)
    for metric in result.card.count_error.metrics if result.card.count_error else ():
        say(f"{metric.name}: {metric.value:.3f} ({metric.data})")
    if result.failures:
        say(f"Cells without an answer (not read, or no single cell): {result.failures:,}, {out / 'answers.parquet'}")
    say(f"Bundle: {result.bundle}")
