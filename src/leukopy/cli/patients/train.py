"""``leukopy patients crossval`` and ``leukopy patients train``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.train import change
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from leukopy.patients.workflows.crossval import CrossvalResult

Data = Annotated[Path, typer.Option(help="The table of the patients, or the folder that holds it.")]
Cells = Annotated[Path | None, typer.Option(help="A manifest of the images, in place of folders.")]
Day = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Where ages are counted that have no date of sampling."
    ),
]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of a recipe.")]
Folds = Annotated[int, typer.Option(help="Outer folds.")]
Repeats = Annotated[int, typer.Option(help="Times that the cross-validation is repeated, with other folds.")]
Permutations = Annotated[int, typer.Option(help="Runs on permuted labels, which must come out at chance.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that OUT holds.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")]


def crossval(  # noqa: PLR0913, PLR0917 (one option per setting)
    recipes: Annotated[list[Path], typer.Argument(help="Recipes (configs/patients/*.yaml).")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the figures and the report.")],
    cells: Cells = None,
    reference_date: Day = None,
    changes: Changes = None,
    folds: Folds = 5,
    repeats: Repeats = 5,
    permutations: Permutations = 5,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure models of patients: nested, repeated cross-validation, against age and lymphocyte count alone.

    The last recipe is also run on permuted labels. Examples:

        leukopy patients crossval configs/patients/lymphocytosis.yaml --data lymphocytosis/ --out runs/crossval

        leukopy patients crossval configs/patients/bag_*.yaml --data lymphocytosis/ --out runs/all --repeats 2
    """
    from leukopy.patients.workflows.crossval import CrossvalSettings, crossval, read_recipe

    changed = dict(change(text) for text in changes or [])
    settings = CrossvalSettings.build(
        {
            "cohort": _cohort(data, cells, reference_date),
            "recipes": [read_recipe(path, changed) for path in recipes],
            "folds": folds,
            "repeats": repeats,
            "permutations": permutations,
        }
    )
    with progress_bar() as progress:
        result = crossval(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    _print(result)
    say(f"Report: {result.report}")
    _end(result)


def train(  # noqa: PLR0913, PLR0917 (one option per setting)
    recipe: Annotated[Path, typer.Argument(help="A recipe (configs/patients/*.yaml).")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the cross-validation and the bundle.")],
    cells: Cells = None,
    reference_date: Day = None,
    changes: Changes = None,
    folds: Folds = 5,
    repeats: Repeats = 5,
    permutations: Permutations = 5,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a patients' model: measured by nested cross-validation, then fitted on all patients and kept as a bundle.

    Example:

        leukopy patients train configs/patients/lymphocytosis.yaml --data lymphocytosis/ --out runs/patients
    """
    from leukopy.patients.workflows.crossval import read_recipe
    from leukopy.patients.workflows.train import TrainPatientsSettings, train_patients

    settings = TrainPatientsSettings.build(
        {
            "cohort": _cohort(data, cells, reference_date),
            "recipe": read_recipe(recipe, dict(change(text) for text in changes or [])),
            "folds": folds,
            "repeats": repeats,
            "permutations": permutations,
        }
    )
    with progress_bar() as progress:
        result = train_patients(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    _print(result.crossval)
    say(f"Bundle: {result.bundle}. Next: leukopy patients predict … --model {result.bundle}")
    _end(result.crossval)


def _cohort(data: Path, cells: Path | None, reference_date: datetime | None) -> dict[str, Any]:
    return {"path": data, "cells": cells, "reference_date": reference_date and reference_date.date()}


def _print(result: CrossvalResult) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.patients.reports.crossval import COLUMNS, show

    table = Table("model", *COLUMNS.values(), "gain over age and count", box=SIMPLE, caption=RESEARCH_USE_ONLY)
    for name, figures in result.figures.items():
        gain = result.paired.get(name)
        values = [show(getattr(figures, column)) for column in COLUMNS]
        table.add_row(name, *values, show(gain.balanced_accuracy, signed=True) if gain else "–")
    Console().print(table)


def _end(result: CrossvalResult) -> None:
    if len(result.failures):
        say(f"{len(result.failures):,} images could not be read and were left out: see failures.csv")
        raise typer.Exit(EXIT_FAILURES)
