"""``leukopy study draw``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Resume, options
from leukopy.workflows.draw import DrawSettings


@options(DrawSettings, apart=(("cells", "per_class"),))
def draw(
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide.")],
    given: Given[DrawSettings],
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw a slide of cells with known classes, to test leukopy without images.

    The cells lie in OUT/cells, their classes, boxes and areas in OUT/truth.csv. Examples:

        leukopy study draw --out slide

        leukopy study draw --out slide --per-class 20 --seed 7 --appearance random

        leukopy study draw --out slide --cells 0 --fields 10

        leukopy study draw --out again --config slide/run.json
    """
    from leukopy.workflows.draw import draw

    settings = given.build()
    with progress_bar() as progress:
        result = draw(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    drawn = ", ".join(f"{count} {code}" for code, count in result.counts.items() if count)
    say(f"Drawn: {drawn or 'no single cells'}; whole fields: {settings.fields}.")
    say(f"Truth: {result.truth}. Next: leukopy analyze {result.cells} --out results")
