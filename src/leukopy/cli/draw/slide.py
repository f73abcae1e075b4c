"""``leukopy draw slide``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.workflows.draw_slide import DrawSlideSettings


@options(DrawSlideSettings)
def slide(
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide.")],
    given: Given[DrawSlideSettings],
    overwrite: Overwrite = False,
) -> None:
    """Draw a whole slide as a pyramidal TIFF, with the truth of every cell.

    The slide is OUT/slide.tif: a thick zone, a monolayer and a thin zone in empty glass (OUT/zones.csv). Blocks of
    1,024 pixels repeat over it; OUT/objects.csv lists every object at its place. Examples:

        leukopy draw slide --out drawn

        leukopy draw slide --out drawn --width 32768 --height 32768 --leukocytes 8 --seed 7
    """
    from leukopy.workflows.draw_slide import draw_slide

    with progress_bar() as progress:
        result = draw_slide(given.build(), out, overwrite=overwrite, progress=progress)
    say(f"Drawn: {result.slide}, {result.width} x {result.height} pixels of {result.blocks} different blocks.")
    say(f"Objects: {', '.join(f'{count} {kind}' for kind, count in result.objects.items())}. Truth: {result.truth}")
