"""``leukopy adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.adapt import AdaptSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.workflows.adapt import AdaptResult


@options(AdaptSettings)
def adapt(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    given: Given[AdaptSettings],
    overwrite: Overwrite = False,
) -> None:
    """Fit a model to your laboratory, from 20 to 200 cells that you labelled or corrected.

    Only the last layer is refitted, regularised towards the shipped one: it takes seconds, and no GPU. The gain is
    measured on cells held out. Examples:

        leukopy adapt --labels corrected.csv --out runs/ours

        leukopy adapt --labels leukopy-training.zip --out runs/ours

        leukopy analyze slide3/ --model runs/ours/bundle --out results/slide3
    """
    from rich.console import Console

    from leukopy.workflows.adapt import adapt

    with progress_bar() as progress:
        result = adapt(given.build(), out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    if result.outside:
        shown = "; ".join(f"{code} {old:.2f}, now {new:.2f}" for code, (old, new) in result.outside.recall.items())
        say(f"{result.outside.cells:,} cells of classes outside were learnt too. Recall on held-out cells: {shown}.")
        old, new = result.outside.known_called_outside
        say(f"Known cells called a class outside: {old:.3f}, now {new:.3f}.")
    for code, count in result.left_out.items():
        say(f"{count:,} cells labelled {code} are left out: the model has no such class.")
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say_failures(f"{result.failures:,} images could not be read", out / "failures.csv")
        raise typer.Exit(EXIT_FAILURES)


def _table(result: AdaptResult) -> Table:
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.reports.evaluation import show

    before, after = result.before, result.after
    table = Table("coarse classes", "before", "after", title=f"Fitted to {result.cells:,} labelled cells")
    pairs = (
        ("balanced accuracy", before.classes.balanced_accuracy, after.classes.balanced_accuracy),
        ("accuracy", before.classes.accuracy, after.classes.accuracy),
        ("expected calibration error", before.calibration.ece, after.calibration.ece),
    )
    for name, old, new in pairs:
        table.add_row(name, show(old, 3), show(new, 3))
    table.add_row("gain in balanced accuracy", "", show(result.gain, 3), style="bold")
    table.add_section()
    for old_class, new_class in zip(before.classes.classes, after.classes.classes, strict=True):
        if new_class.support:
            name = f"recall of {new_class.code} ({new_class.support})"
            table.add_row(name, show(old_class.recall, 3), show(new_class.recall, 3))
    table.caption = f"On {result.held_out}, with 95 % intervals.\n{RESEARCH_USE_ONLY}"
    return table
