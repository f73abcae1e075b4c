"""``leukopy draw fields``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Resume, options
from leukopy.workflows.draw_fields import DrawFieldsSettings


@options(DrawFieldsSettings)
def fields(
    out: Annotated[Path, typer.Option(help="Folder for the drawn fields.")],
    given: Given[DrawFieldsSettings],
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw fields of view with known leukocytes, red cells and platelets.

    The fields lie in OUT/fields, the box and class of every object in OUT/fields.csv. Examples:

        leukopy draw fields --out drawn

        leukopy draw fields --out drawn --fields 100 --conditions random --appearance random --seed 7

        leukopy draw fields --out drawn --fields 5 --size 480 640 --um-per-px 0.2 --cells 3
    """
    from leukopy.workflows.draw_fields import draw_fields

    with progress_bar() as progress:
        result = draw_fields(given.build(), out, resume=resume, overwrite=overwrite, progress=progress)
    say(f"Drawn: {', '.join(f'{count} {kind}' for kind, count in result.objects.items())}.")
    say(f"Truth: {result.truth}. Pictures: {result.fields}")
