"""``leukopy study stack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.studies.stack import StackSettings


@options(StackSettings, {"data": argument("DATA")})
def stack(
    out: Annotated[Path, typer.Option(help="Folder for the table.")],
    given: Given[StackSettings],
    overwrite: Overwrite = False,
) -> None:
    """Fit classifiers to the frozen features of several networks, alone and together, and print one table.

    Rows: each network alone, the mean of their probabilities, all features in one classifier, and out-of-fold stacking.
    Images that cannot be read are listed in `failures.csv` and make the exit code 3. Examples:

        leukopy study stack pbc --root data/pbc --models default --models runs/lenet11/bundle --out runs/stacked

        leukopy study stack ours.csv --models runs/a/bundle --models runs/b/bundle --fit train --out runs/ours
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.evaluation import show
    from leukopy.studies.stack import STACKED, stack

    with progress_bar() as progress:
        result = stack(given.build(), out, overwrite=overwrite, progress=progress)
    columns = ("coarse_accuracy", "coarse_macro_f1", "fine_accuracy", "fine_macro_f1", "fine_ece")
    table = Table("", *(name.replace("_", "\n") for name in columns), title=f"{result.images:,} images", box=SIMPLE)
    for row in result.rows:
        values = (getattr(row, name) for name in columns)
        table.add_row(row.name, *("–" if value is None else f"{value:.4f}" for value in values))
    Console().print(table)
    say(f"{STACKED} less {result.best} alone, accuracy at the fine classes: {show(result.gain)}")
    left = ", ".join(f"{count:,} {reason}" for reason, count in result.left_out.items() if count)
    if left:
        say(f"Left out: {left}.")
    say(f"The table, with F1 by class: {out / 'compare.md'}")
    if result.left_out["failed"]:
        raise typer.Exit(EXIT_FAILURES)
