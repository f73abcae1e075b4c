"""``leukopy model fit-slide-check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.fit_slide_check import FitSlideCheckSettings


@options(FitSlideCheckSettings)
def fit_slide_check(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    given: Given[FitSlideCheckSettings],
    overwrite: Overwrite = False,
) -> None:
    """Add the slide check: a slide that looks unlike the training data triggers a warning.

    The network does not change; its card gains the appearance of the training laboratories. It reads the images of its
    training recipe. Examples:

        leukopy model fit-slide-check --out runs/slides

        leukopy model fit-slide-check --model runs/new/bundle --out runs/new/slides
    """
    from leukopy.workflows.fit_slide_check import fit_slide_check

    with progress_bar() as progress:
        result = fit_slide_check(given.build(), out, overwrite=overwrite, progress=progress)
    for name, found in result.left_out.items():
        say(f"Distance of {name} if left out: {found.distance:.2f}, nearest {found.nearest}")
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say_failures(f"{result.failures:,} images could not be read", out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)
