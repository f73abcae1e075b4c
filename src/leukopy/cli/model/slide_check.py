"""``leukopy fit-slide-check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES


def fit_slide_check(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    model: Annotated[
        str | None, typer.Option(help="A bundled model, or a bundle folder.", show_default="default")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Images of each laboratory looked at, at most.", show_default="1500")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier run, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Teach a model to say when a whole slide looks unlike the laboratories that it learnt from.

    The network stays as it is; its card gains how those laboratories look. The pictures of its training recipe must be
    there. Examples:

        leukopy fit-slide-check --out runs/slides

        leukopy fit-slide-check --model runs/new/bundle --out runs/new/slides
    """
    from leukopy.workflows.slide_check import FitSlideCheckSettings, fit_slide_check

    changes = {"model": model, "images": images}
    given = {name: value for name, value in changes.items() if value is not None}
    settings = FitSlideCheckSettings.read(config, **given) if config else FitSlideCheckSettings.build(given)
    with progress_bar() as progress:
        result = fit_slide_check(settings, out, overwrite=overwrite, progress=progress)
    for name, found in result.left_out.items():
        say(f"Distance of {name}, were its look not known: {found.distance:.2f}, nearest {found.nearest}")
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say(f"{result.failures:,} images could not be read: {out / 'failures.csv'}")
        raise typer.Exit(EXIT_FAILURES)
