"""``leukopy study clean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, argument, options
from leukopy.studies.clean import CleanSettings


@options(CleanSettings, {"data": argument("DATA")})
def clean(
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    given: Given[CleanSettings],
    overwrite: Overwrite = False,
) -> None:
    """List the labels that the cells of other patients or slides contradict, and a manifest without them.

    A doubtful label is no proof of an error: look at the cell. No picture is written. Examples:

        leukopy study clean hopkins --root data/hopkins --out runs/clean-hopkins

        leukopy study clean manifest --root ours.csv --below 0.05 --out runs/clean-ours
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.studies.clean import KEPT_FILE, LABELS_FILE, clean

    with progress_bar() as progress:
        result = clean(given.build(), out, overwrite=overwrite, progress=progress)
    table = Table("class", "cells", "doubtful", "mostly like", title=f"{result.cells:,} labels", box=SIMPLE)
    for code, cells, doubtful, mostly in result.counts.iter_rows():
        table.add_row(code, f"{cells:,}", f"{doubtful:,}", mostly or "")
    Console().print(table)
    say(f"{result.doubtful:,} doubtful labels, {result.not_judged:,} not judged: {out / LABELS_FILE}")
    say(f"Manifest without both: {out / KEPT_FILE}")
