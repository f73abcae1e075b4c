"""``leukopy study compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Changes, Given, On, argument, options, pool_on, read_changes
from leukopy.core.errors import EXIT_FAILURES
from leukopy.studies.compare import CompareSettings

if TYPE_CHECKING:
    from leukopy.studies.compare import CompareResult


@options(CompareSettings, {"recipes": argument("RECIPE")}, without=("changes",))
def compare(
    out: Annotated[Path, typer.Option(help="Folder of the runs, and of the table.")],
    given: Given[CompareSettings],
    changes: Changes = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train again the models in OUT that have other settings.")
    ] = False,
    on: On = "local",
) -> None:
    """Train and measure several recipes on the same images, and print one table.

    Finished trainings are skipped: the same command resumes an interrupted comparison. A failed model is listed with
    its reason, the others are measured, and the exit code is 3. `--set` changes every recipe that has the setting.
    On a Ray cluster, every node needs OUT and the data under the same paths. Examples:

        leukopy study compare configs/lenet11.yaml configs/svm.yaml --out runs

        leukopy study compare configs/vgg*.yaml --out runs/quick --set optimisation.epochs=1 --split val

        leukopy study compare configs/vgg*.yaml --out /shared/compared --on auto
    """
    from rich.console import Console

    from leukopy.studies.compare import compare

    settings = given.build(**{"changes": changed} if (changed := read_changes(changes)) else {})
    with progress_bar() as progress:
        shown = Console(stderr=True).is_terminal
        pool = pool_on(on)
        result = compare(settings, out, overwrite=overwrite, pool=pool, progress=progress, show_progress=shown)
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
