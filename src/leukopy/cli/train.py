"""``leukopy train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from leukopy.cli.console import progress_bar, say


def train(
    config: Annotated[Path, typer.Argument(help="A recipe (configs/*.yaml), or the run.json of an earlier run.")],
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, curves, checkpoints.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="First weights: a file of timm's names (.safetensors, .pth).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that OUT holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Train a classifier from a recipe and export its bundle.

    The recipe's folders lie below `LEUKOPY_DATA`. Examples:

        leukopy train configs/default.yaml --out runs/default

        leukopy train configs/lenet8.yaml --out runs/try --set optimisation.epochs=2

        leukopy train configs/default.yaml --out runs/default --resume

        leukopy train configs/vgg16.yaml --out runs/vgg16 --weights vgg16-397923af.pth
    """
    from rich.console import Console
    from rich.table import Table

    from leukopy.workflows.train import read_recipe, train

    start = {"backbone.pretrained": False, "backbone.weights": str(weights)} if weights else {}
    settings = read_recipe(config, dict(_change(text) for text in changes or []) | start)
    start_from = settings.backbone.first_weights
    say(f"{settings.backbone.name}: " + (f"starts from {start_from}." if start_from else "trained from scratch."))
    with progress_bar() as progress:
        result = train(
            settings,
            out,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            show_progress=Console(stderr=True).is_terminal,
        )
    table = Table("figure", "value", title=f"{settings.name}, on validation")
    for metric in result.card.metrics:
        table.add_row(metric.name, f"{metric.value:.4f}")
    Console().print(table)
    if result.failures:
        say(f"{result.failures} images could not be decoded and were left out: {out / 'failures.csv'}")
    say(f"Bundle: {result.bundle}. Next: leukopy evaluate … --model {result.bundle} --split test")


def _change(text: str) -> tuple[str, Any]:
    import yaml

    name, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE, as in optimisation.epochs=2")
    return name, yaml.safe_load(value)
