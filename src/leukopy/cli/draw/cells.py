"""``leukopy draw cells``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Resume, options
from leukopy.workflows.draw import DrawSettings


@options(DrawSettings, apart=(("cells", "per_class"),))
def cells(
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide.")],
    given: Given[DrawSettings],
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw a slide of cells with known classes, to test leukopy without images.

    The cells lie in OUT/cells, their classes, boxes and areas in OUT/truth.csv. Examples:

        leukopy draw cells --out slide

        leukopy draw cells --out slide --per-class 20 --seed 7 --appearance random

        leukopy draw cells --out again --config slide/run.json
    """
    from leukopy.workflows.draw import draw

    with progress_bar() as progress:
        result = draw(given.build(), out, resume=resume, overwrite=overwrite, progress=progress)
    drawn = ", ".join(f"{count} {code}" for code, count in result.counts.items() if count)
    say(f"Drawn: {drawn or 'nothing'}.")
    say(f"Truth: {result.truth}. Next: leukopy analyze {result.cells} --out results")
