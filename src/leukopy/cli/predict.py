"""``leukopy predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.predict import PredictSettings


@options(PredictSettings, {"input": argument("PATH")})
def predict(
    given: Given[PredictSettings],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file; - is standard output.")] = "-",
) -> None:
    """Classify cell images, one row each: class, probabilities, flags.

    Images that cannot be read are named on standard error and make the exit code 3. Examples:

        leukopy predict slide3/ > rows.csv

        leukopy predict slide3/c17.jpg --model runs/new/bundle

        leukopy predict slide3.csv --out rows.parquet
    """
    from leukopy.workflows.predict import predict

    settings = given.build()
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
