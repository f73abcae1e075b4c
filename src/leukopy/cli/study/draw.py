"""``leukopy draw``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say


def draw(  # noqa: PLR0913, PLR0917 (one option per setting)
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide.")],
    cells: Annotated[
        int | None, typer.Option(help="How many cells, shared out as in an adult's blood.", show_default="200")
    ] = None,
    per_class: Annotated[int | None, typer.Option(help="This many of each of the 11 classes instead.")] = None,
    fields: Annotated[int | None, typer.Option(help="Whole fields to draw too.", show_default="0")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same slide.", show_default="1")] = None,
    appearance: Annotated[
        str | None, typer.Option(help="The laboratory: pbc, or random (by the seed).", show_default="pbc")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier slide, or YAML.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the slide that OUT holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the slide that OUT holds.")] = False,
) -> None:
    """Draw a slide whose every cell is known: to try leukopy without images, and to test it.

    The cells lie in OUT/cells, their classes, boxes and areas in OUT/truth.csv. Examples:

        leukopy draw --out slide

        leukopy draw --out slide --per-class 20 --seed 7 --appearance random

        leukopy draw --out slide --cells 0 --fields 10

        leukopy draw --out again --config slide/run.json
    """
    from leukopy.workflows.draw import DrawSettings, draw

    changes = {"cells": cells, "per_class": per_class, "fields": fields, "seed": seed, "appearance": appearance}
    given = {name: value for name, value in changes.items() if value is not None}
    settings = DrawSettings.read(config, **given) if config else DrawSettings.build(given)
    with progress_bar() as progress:
        result = draw(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    drawn = ", ".join(f"{count} {code}" for code, count in result.counts.items() if count)
    say(f"Drawn: {drawn or 'no single cells'}; whole fields: {settings.fields}.")
    say(f"Truth: {result.truth}. Next: leukopy analyze {result.cells} --out results")
