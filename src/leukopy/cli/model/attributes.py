"""``leukopy fit-attributes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.evaluation.attributes import AttributeScores


def fit_attributes(
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, figures.")],
    model: Annotated[
        str | None, typer.Option(help="A bundled model, or a bundle folder.", show_default="default")
    ] = None,
    wbcatt: Annotated[
        Path | None, typer.Option(help="The tables of WBCAtt.", show_default="cells/wbcatt below LEUKOPY_DATA")
    ] = None,
    pbc: Annotated[
        Path | None, typer.Option(help="The images of PBC Barcelona.", show_default="cells/pbc below LEUKOPY_DATA")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier run, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Teach a model the words for a cell: 11 morphological attributes, from WBCAtt.

    The network stays as it is, and so do its classes; it gains one more output. Examples:

        leukopy fit-attributes --out runs/attributes

        leukopy fit-attributes --model runs/new/bundle --out runs/new/attributes
    """
    from rich.console import Console

    from leukopy.workflows.attributes import AttributeSettings, fit_attributes

    changes = {"model": model, "wbcatt": wbcatt, "pbc": pbc}
    given = {name: value for name, value in changes.items() if value is not None}
    settings = AttributeSettings.read(config, **given) if config else AttributeSettings.build(given)
    with progress_bar() as progress:
        result = fit_attributes(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result.test))
    say(f"Bundle: {result.bundle}")
    if result.failures:
        say(f"{result.failures:,} images could not be read: {out / 'failures.csv'}")
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
