"""The ``leukopy`` command."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from leukopy import __version__
from leukopy.cli import review
from leukopy.cli.adapt import adapt
from leukopy.cli.analyze import analyze
from leukopy.cli.console import one_line_errors
from leukopy.cli.demo import demo
from leukopy.cli.evaluate import evaluate
from leukopy.cli.explain import explain
from leukopy.cli.model import cards as models
from leukopy.cli.model.attributes import fit_attributes
from leukopy.cli.model.ood import fit_open_set
from leukopy.cli.model.slide_check import fit_slide_check
from leukopy.cli.patients.app import app as patients
from leukopy.cli.predict import predict
from leukopy.cli.study import datasets
from leukopy.cli.study.compare import compare
from leukopy.cli.study.draw import draw
from leukopy.cli.study.explore import explore
from leukopy.cli.train import train


class _Root(TyperGroup):
    """Every command's errors, and Ctrl-C, end in one line: here, since typer answers Ctrl-C without a word."""

    def invoke(self, ctx: Any) -> Any:
        with one_line_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Root,
    name="leukopy",
    help="Blood-cell microscopy: from a folder of cell images to a differential count. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(analyze)
app.command()(predict)
app.command()(demo)
app.command()(draw)
app.command()(evaluate)
app.command()(explain)
app.command()(explore)
app.command()(train)
app.command()(adapt)
app.command()(fit_attributes)
app.command()(fit_open_set)
app.command()(fit_slide_check)
app.command()(compare)
app.add_typer(models.app, name="models")
app.add_typer(datasets.app, name="datasets")
app.add_typer(patients, name="patients")
app.add_typer(review.app, name="review")


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()
