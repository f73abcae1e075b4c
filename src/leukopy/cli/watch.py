"""``leukopy watch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Spelling, argument, options
from leukopy.core.settings import read_mapping
from leukopy.workflows.watch import WatchSettings


@options(
    WatchSettings,
    {
        "input": argument("FOLDER"),
        "input_kind": Spelling(("--as",)),
        "every_s": Spelling(("--every",), metavar="SECONDS"),
        "settle_s": Spelling(("--settle",), metavar="SECONDS"),
        "quiet_s": Spelling(("--quiet",), metavar="SECONDS"),
        "reference": Spelling(metavar="FILE", type=Path, read=read_mapping),
    },
    without=("slides", "processes", "title", "leukocytes", "um_per_px"),
)
def watch(
    out: Annotated[Path, typer.Option(help="Folder for the results of all slides.")],
    given: Given[WatchSettings],
    overwrite: Overwrite = False,
) -> None:
    """Analyse pictures as a microscope program saves them into a folder.

    Each sub-folder is one slide; its results grow with its pictures. A picture is read once its size and time stay the
    same. Ctrl-C stops; the same command continues with the pictures that have arrived since.
    Examples:

        leukopy watch camera/ --out results/today

        leukopy watch camera/ --out results/today --as fields --quiet 600
    """
    from leukopy.workflows.watch import watch

    settings = given.build()
    say(f"Watching {settings.input}. Ctrl-C stops.")
    with progress_bar() as progress:
        watch(settings, out, overwrite=overwrite, progress=progress, said=say)
    say(f"Page: {out / 'slides.html'}")
