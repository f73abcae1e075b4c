"""``leukopy predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES


def predict(
    path: Annotated[
        Path,
        typer.Argument(
            readable=False,  # what cannot be read is told in one line, as any other input
            help="A folder of cell images, a list (.txt), a manifest (.csv, .parquet), or one image.",
        ),
    ],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file; - is standard output.")] = "-",
    model: Annotated[str, typer.Option(help="A bundled model, or a bundle folder.")] = "default",
    slides: Annotated[bool, typer.Option("--slides", help="Each sub-folder of PATH is a slide.")] = False,
    threads: Annotated[int | None, typer.Option(help="Worker threads.", show_default="all cores")] = None,
) -> None:
    """Classify cell images, one row each: class, probabilities, flags.

    Images that cannot be read are named on standard error and make the exit code 3. Examples:

        leukopy predict slide3/ > rows.csv

        leukopy predict slide3/c17.jpg --model runs/new/bundle

        leukopy predict slide3.csv --out rows.parquet
    """
    from leukopy.workflows.predict import PredictSettings, predict

    settings = PredictSettings.build({"input": path, "model": model, "threads": threads, "slides": slides})
    with progress_bar() as progress:
        result = predict(settings, sys.stdout.buffer if out == "-" else Path(out), progress=progress)
    for note in result.notes:
        say(note)
    for message in result.failures["message"]:
        say(message)
    if len(result.failures):
        say(f"{len(result.failures):,} of {result.cells + len(result.failures):,} images failed: see above.")
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)
