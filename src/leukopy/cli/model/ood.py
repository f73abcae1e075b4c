"""``leukopy fit-open-set``, and ``leukopy evaluate --open-set``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES


def fit_open_set(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    model: Annotated[
        str | None, typer.Option(help="A bundled model, or a bundle folder.", show_default="default")
    ] = None,
    keep_rate: Annotated[
        float | None, typer.Option(help="Share of known cells that the threshold keeps.", show_default="0.97")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier run, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Teach a model to say which cells are unlike all that it knows: they come out as unidentified.

    The network stays as it is, and so do its classes; it gains one more output, whose threshold is set on the cells
    that it validated on. The pictures of its training recipe must be there. Examples:

        leukopy fit-open-set --out runs/open

        leukopy fit-open-set --model runs/new/bundle --keep-rate 0.98 --out runs/new/open
    """
    from leukopy.reports.evaluation import show
    from leukopy.workflows.open_set import OpenSetSettings, fit_open_set

    changes = {"model": model, "keep_rate": keep_rate}
    given = {name: value for name, value in changes.items() if value is not None}
    settings = OpenSetSettings.read(config, **given) if config else OpenSetSettings.build(given)
    with progress_bar() as progress:
        result = fit_open_set(settings, out, overwrite=overwrite, progress=progress)
    for source, share in result.false.items():
        say(f"Known test cells of {source} taken for unidentified: {show(share, 3)}")
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say(f"{result.failures:,} images could not be read: {out / 'failures.csv'}")
        raise typer.Exit(EXIT_FAILURES)


def run_left_out(config: Path, out: Path, only: list[str]) -> None:
    """Train without each class, and print how strange its cells are found."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.open_set import shown
    from leukopy.studies.leave_class_out import leave_out, read_left_out

    settings = read_left_out(config)
    with progress_bar() as progress:
        result = leave_out(settings, out, only=tuple(only), progress=progress, show_progress=sys.stderr.isatty())
    table = Table("left out", "AUROC", "found", "false", title=settings.title, box=SIMPLE)
    for row in result.rows:
        score = row.score
        table.add_row(row.code, shown(score.auroc), shown(score.found), shown(score.false))
    Console().print(table)
    say(f"Figures: {result.out / 'summary.md'}")
