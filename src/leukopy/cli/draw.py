"""``leukopy draw``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say


def draw(
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide.")],
    cells: Annotated[int, typer.Option(help="How many cells, shared out as in an adult's blood.")] = 200,
    per_class: Annotated[int | None, typer.Option(help="This many of each of the 11 classes instead.")] = None,
    fields: Annotated[int, typer.Option(help="Whole fields to draw too.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same slide.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the slide that OUT holds.")] = False,
) -> None:
    """Draw a slide whose every cell is known: to try leukopy without images, and to test it.

    The cells lie in OUT/cells, their classes, boxes and areas in OUT/truth.csv. Examples:

        leukopy draw --out slide

        leukopy draw --out slide --per-class 20 --seed 7

        leukopy draw --out slide --cells 0 --fields 10
    """
    from leukopy.workflows.draw import DrawSettings, draw

    settings = DrawSettings.build({"cells": cells, "per_class": per_class, "fields": fields, "seed": seed})
    with progress_bar() as progress:
        result = draw(settings, out, overwrite=overwrite, progress=progress)
    drawn = ", ".join(f"{count} {code}" for code, count in result.counts.items() if count)
    say(f"Drawn in {result.folder}: {drawn or 'no single cells'}" + (f"; {fields} fields." if fields else "."))
    say(f"Truth: {result.truth}. Next: leukopy analyze {result.cells} --out results")
