"""The ``leukopy`` command."""

from __future__ import annotations

from typing import Annotated

import typer

from leukopy import __version__
from leukopy.cli import datasets
from leukopy.cli.console import one_line_errors
from leukopy.cli.evaluate import evaluate
from leukopy.cli.train import train

app = typer.Typer(
    name="leukopy",
    help="Blood-cell microscopy: from a folder of cell images to a differential count. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(evaluate)
app.command()(train)
app.add_typer(datasets.app, name="datasets")


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    with one_line_errors():
        app()
