"""``leukopy explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, Spelling, argument, clash, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.runs import RUN_FILE
from leukopy.workflows.explain import ExplainSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.workflows.explain import ExplainResult


@options(ExplainSettings, {"inputs": argument("PATH"), "methods": Spelling(names=("--method",))})
def explain(
    out: Annotated[Path, typer.Option(help="Folder for overlays, arrays, figures and report.")],
    given: Given[ExplainSettings],
    overwrite: Overwrite = False,
) -> None:
    """Show heat maps of the evidence in each cell, their faithfulness, and the most similar training cells.

    Bundles are explained without torch (cam, score-cam). Examples:

        leukopy explain slide3/c17.jpg --out results/c17

        leukopy explain slide3/ --method cam --method score-cam --out results/maps

        leukopy explain slide3/ --target BNE --out results/why-not-band

        leukopy explain slide3/ --model runs/new --method grad-cam --method grad-cam++ --out results/gradients
    """
    from rich.console import Console

    from leukopy.workflows.explain import explain

    settings = given.build()
    if given.values.get("sanity") and not (Path(settings.model) / RUN_FILE).is_file():
        raise clash("--sanity", f"the bundle {settings.model}: give the folder of a training run as --model")
    with progress_bar() as progress:
        result = explain(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    say(f"Report: {result.report}")
    if result.failures:
        counted = f"{result.failures:,} of {result.cells + result.failures:,} images failed"
        say_failures(counted, result.folder / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)


def _table(result: ExplainResult) -> Table:
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.reports.explanation import COLUMNS, show, title_of

    table = Table("map", title=f"Explanation of {result.cells:,} {'cell' if result.cells == 1 else 'cells'}")
    for name in ("deletion", "insertion", "heat in the cell", "in the nucleus"):
        table.add_column(name, justify="right")
    for found in result.figures:
        table.add_row(title_of(found.method), *(show(getattr(found, column)) for column in COLUMNS))
    table.caption = f"Deletion: low is good. Insertion: high is good.\n{RESEARCH_USE_ONLY}"
    return table
