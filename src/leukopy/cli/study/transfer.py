"""``leukopy study transfer``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import On, pool_on


def transfer(
    config: Annotated[
        Path, typer.Argument(metavar="TRANSFER", help="Study of laboratories to train and test in (configs/*.yaml).")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the models, and of the figures.")],
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; may be repeated.")] = None,
    on: On = "local",
) -> None:
    """Train in some laboratories, test in the others: one model for each arm and seed, and a matrix of figures.

    Finished trainings are skipped: the same command resumes an interrupted run. On a Ray cluster, every node needs OUT
    and the data under the same paths. Examples:

        leukopy study transfer configs/transfer.yaml --out runs/transfer --arm pbc

        leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out

        leukopy study transfer configs/transfer.yaml --out /shared/transfer --on auto
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.transfer import LEVELS, matrix
    from leukopy.studies.transfer import read_transfer, transfer

    settings = read_transfer(config)
    with progress_bar() as progress:
        result = transfer(
            settings,
            out,
            only=tuple(arm or ()),
            pool=pool_on(on),
            progress=progress,
            show_progress=sys.stderr.isatty(),
        )
    for answers, words in LEVELS.items():
        header, *rows = matrix(result.rows, "balanced_accuracy", answers)
        table = Table(*header, title=f"balanced accuracy, answers {words}", box=SIMPLE)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    say(f"Figures: {result.out / 'summary.md'}; intervals of each model: {result.out / 'transfer.csv'}")
