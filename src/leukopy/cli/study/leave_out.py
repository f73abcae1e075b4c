"""``leukopy study leave-out``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say


def leave_out(
    config: Annotated[Path, typer.Argument(metavar="CLASSES", help="Study of classes left out (configs/*.yaml).")],
    out: Annotated[Path, typer.Option(help="Folder of the models, and of the figures.")],
    only: Annotated[
        list[str] | None, typer.Option("--class", metavar="CODE", help="Only this class; may be repeated.")
    ] = None,
) -> None:
    """Train without one class, each in turn, and measure how well its cells are detected as out-of-distribution.

    Finished trainings are skipped: the same command resumes an interrupted run. Examples:

        leukopy study leave-out configs/open_set.yaml --out runs/open_set

        leukopy study leave-out configs/open_set.yaml --out runs/open_set --class BA --class PLT
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.leave_class_out import shown
    from leukopy.studies.leave_class_out import leave_out, read_left_out

    settings = read_left_out(config)
    with progress_bar() as progress:
        result = leave_out(settings, out, only=tuple(only or ()), progress=progress, show_progress=sys.stderr.isatty())
    table = Table("left out", "AUROC", "found", "false", title=settings.title, box=SIMPLE)
    for row in result.rows:
        score = row.score
        table.add_row(row.code, shown(score.auroc), shown(score.found), shown(score.false))
    Console().print(table)
    say(f"Figures: {result.out / 'summary.md'}")
