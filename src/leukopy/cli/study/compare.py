"""``leukopy compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.train import change
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from leukopy.studies.compare import CompareResult


def compare(
    configs: Annotated[list[Path], typer.Argument(help="Recipes (configs/*.yaml), of networks and shallow models.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs, and of the table.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of every recipe that has it."),
    ] = None,
    split: Annotated[str, typer.Option(help="test or val.")] = "test",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train anew what OUT holds with other settings.")
    ] = False,
) -> None:
    """Train and measure several recipes on the same images, and print one table.

    What OUT holds already is not done again, so that an interrupted comparison goes on where it stopped. A model that
    fails is named with its reason, the others go on, and the exit code is 3. Examples:

        leukopy compare configs/lenet11.yaml configs/svm.yaml --out runs

        leukopy compare configs/vgg*.yaml --out runs/quick --set optimisation.epochs=1 --split val
    """
    from rich.console import Console

    from leukopy.studies.compare import CompareSettings, compare

    values = {"recipes": configs, "changes": dict(change(text) for text in changes or []), "split": split}
    settings = CompareSettings.build(values)
    with progress_bar() as progress:
        shown = Console(stderr=True).is_terminal
        result = compare(settings, out, overwrite=overwrite, progress=progress, show_progress=shown)
    _print(result)
    say(f"The table, with F1 by class: {out / 'compare.md'}")
    if result.failures:
        for row in result.rows:
            if row.failure:
                say(f"{row.name}: {row.failure}")
        raise typer.Exit(EXIT_FAILURES)


def _print(result: CompareResult) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.comparison import COLUMNS, cells

    half = len(COLUMNS) - 4  # the last four are costs; one table of all would be too wide for a terminal
    for columns in (slice(0, half), slice(half, None)):
        headings = [heading.replace(" ", "\n") for heading in COLUMNS.values()]
        table = Table("model", *headings[columns], box=SIMPLE, pad_edge=False, collapse_padding=True)
        table.columns[0].no_wrap = True
        for row in result.rows:
            table.add_row(row.name, *cells(row)[columns])
        Console().print(table)
