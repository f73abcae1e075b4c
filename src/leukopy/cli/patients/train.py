"""``leukopy patients crossval`` and ``leukopy patients train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Changes, Given, On, Overwrite, Resume, Spelling, clash, options, pool_on, read_changes
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.workflows.crossval import CrossvalSettings
from leukopy.patients.workflows.train import TrainPatientsSettings

if TYPE_CHECKING:
    from leukopy.patients.workflows.crossval import CrossvalResult


@options(CrossvalSettings, {"cohort.path": Spelling(names=("--data",))}, without=("recipes",))
def crossval(  # noqa: PLR0913, PLR0917 (each is an option)
    out: Annotated[Path, typer.Option(help="Folder for the figures and the report.")],
    given: Given[CrossvalSettings],
    recipes: Annotated[
        list[Path] | None, typer.Argument(metavar="RECIPE", help="Recipes (configs/patients/*.yaml).")
    ] = None,
    changes: Changes = None,
    on: On = "local",
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure models of patients: nested, repeated cross-validation, against age and lymphocyte count alone.

    The last recipe is also run on permuted labels. Examples:

        leukopy patients crossval configs/patients/lymphocytosis.yaml --data lymphocytosis/ --out runs/crossval

        leukopy patients crossval configs/patients/bag_*.yaml --data lymphocytosis/ --out runs/all --repeats 2

        leukopy patients crossval configs/patients/bag_*.yaml --data lymphocytosis/ --out runs/all --on auto
    """
    from leukopy.patients.workflows.crossval import crossval, read_recipe

    changed = read_changes(changes)
    if changed and not recipes:
        raise clash("--set", "--config alone: give the RECIPE that it changes")
    settings = given.build(**{"recipes": [read_recipe(path, changed) for path in recipes]} if recipes else {})
    with progress_bar() as progress:
        result = crossval(settings, out, resume=resume, overwrite=overwrite, pool=pool_on(on), progress=progress)
    _print(result)
    say(f"Report: {result.report}")
    _end(result)


@options(TrainPatientsSettings, {"cohort.path": Spelling(names=("--data",))}, without=("recipe",))
def train(
    out: Annotated[Path, typer.Option(help="Folder for the cross-validation and the bundle.")],
    given: Given[TrainPatientsSettings],
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", help="A recipe (configs/patients/*.yaml).")] = None,
    changes: Changes = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a patients' model: measure it by nested cross-validation, then fit it on all patients and write its bundle.

    Example:

        leukopy patients train configs/patients/lymphocytosis.yaml --data lymphocytosis/ --out runs/patients
    """
    from leukopy.patients.workflows.crossval import read_recipe
    from leukopy.patients.workflows.train import train_patients

    changed = read_changes(changes)
    if changed and not recipe:
        raise clash("--set", "--config alone: give the RECIPE that it changes")
    settings = given.build(**{"recipe": read_recipe(recipe, changed)} if recipe else {})
    with progress_bar() as progress:
        result = train_patients(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    _print(result.crossval)
    say(f"Bundle: {result.bundle}. Next: leukopy patients predict … --model {result.bundle}")
    _end(result.crossval)


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
        say(f"{len(result.failures):,} images were left out: failures.csv says why")
        raise typer.Exit(EXIT_FAILURES)
