"""``leukopy model fit-attributes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.fit_attributes import AttributeSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.evaluation.attribute_scores import AttributeScores


@options(AttributeSettings)
def fit_attributes(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    given: Given[AttributeSettings],
    overwrite: Overwrite = False,
) -> None:
    """Add morphological attributes to a model, learnt from WBCAtt.

    The network and its classes do not change; it gains one more output. Examples:

        leukopy model fit-attributes --out runs/attributes

        leukopy model fit-attributes --model runs/new/bundle --out runs/new/attributes
    """
    from rich.console import Console

    from leukopy.workflows.fit_attributes import fit_attributes

    with progress_bar() as progress:
        result = fit_attributes(given.build(), out, overwrite=overwrite, progress=progress)
    Console().print(_table(result.test))
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say_failures(f"{result.failures:,} images could not be read", out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)


def _table(scores: AttributeScores) -> Table:
    from rich.table import Table

    from leukopy.reports.evaluation import show

    table = Table("attribute", "macro F1", "accuracy", title=f"On {scores.cells:,} test cells, with 95 % intervals")
    for score in scores.attributes:
        table.add_row(score.name.replace("_", " "), show(score.macro_f1, 3), show(score.accuracy, 3))
    table.add_section()
    table.add_row("mean", show(scores.macro_f1, 3), show(scores.accuracy, 3))
    return table
