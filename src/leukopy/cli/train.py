"""``leukopy train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Changes, Overwrite, Resume, clash, read_changes

if TYPE_CHECKING:
    from leukopy.training.detector.settings import DetectorSettings
    from leukopy.training.red_cell_shapes.settings import RedCellSettings
    from leukopy.training.shallow_settings import ShallowSettings


def train(
    config: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe (configs/*.yaml), or the run.json of an earlier run.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the run: bundle, curves, checkpoints.")],
    changes: Changes = None,
    weights: Annotated[
        Path | None, typer.Option(help="Initial weights: a file under timm's names (.safetensors, .pth).")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a classifier, the detector of cells on fields, or the shapes of red cells; export a bundle.

    A recipe of `kind: shallow` trains a classifier on features, measures it at once, and writes no bundle. The folders
    of a recipe lie below `LEUKOPY_DATA`. Examples:

        leukopy train configs/default.yaml --out runs/default

        leukopy train configs/lenet8.yaml --out runs/try --set optimisation.epochs=2

        leukopy train configs/default.yaml --out runs/default --resume

        leukopy train configs/vgg16.yaml --out runs/vgg16 --weights vgg16-397923af.pth

        leukopy train configs/svm.yaml --out runs/svm

        leukopy train configs/detector.yaml --out runs/detector --resume

        leukopy train configs/red_cell_shapes.yaml --out runs/red_cell_shapes
    """
    from rich.console import Console

    from leukopy.workflows.recipes import read
    from leukopy.workflows.train import MANIFEST_FILE, train

    if resume and overwrite:
        raise clash("--resume", "--overwrite")
    start = {"backbone.pretrained": False, "backbone.run": None, "backbone.weights": str(weights)} if weights else {}
    settings = read(config, read_changes(changes) | start)
    from leukopy.training.detector.settings import DetectorSettings  # needs torch: read says so where it is missing
    from leukopy.training.red_cell_shapes.settings import RedCellSettings
    from leukopy.training.shallow_settings import ShallowSettings

    if isinstance(settings, ShallowSettings):
        if resume:
            raise clash("--resume", "a recipe of kind shallow: it is quick, begin again with --overwrite")
        _train_shallow(settings, out, overwrite=overwrite)
        return
    if isinstance(settings, DetectorSettings):
        _train_detector(settings, out, resume=resume, overwrite=overwrite)
        return
    if isinstance(settings, RedCellSettings):
        _train_red_cell_shapes(settings, out, resume=resume, overwrite=overwrite)
        return
    start_from = settings.backbone.first_weights
    say(f"{settings.backbone.name}: " + (f"starts from {start_from}." if start_from else "trained from scratch."))
    with progress_bar() as progress:
        shown = Console(stderr=True).is_terminal
        result = train(settings, out, resume=resume, overwrite=overwrite, progress=progress, show_progress=shown)
    _print(f"{settings.name}, on validation", {metric.name: metric.value for metric in result.card.metrics})
    if result.failures:
        say_failures(f"{result.failures} images could not be decoded and were left out", out / "failures.csv")
    say(f"Bundle: {result.bundle}. Images with their split: {out / MANIFEST_FILE}. Next:")
    say(f"leukopy evaluate {out / MANIFEST_FILE} --model {result.bundle} --split test --out {out / 'test'}")


def _train_shallow(settings: ShallowSettings, out: Path, *, overwrite: bool) -> None:
    from leukopy.reports.evaluation import averages
    from leukopy.workflows.shallow import train_shallow

    with progress_bar() as progress:
        result = train_shallow(settings, out, overwrite=overwrite, progress=progress)
    for split, evaluation in result.evaluations.items():
        figures = {
            f"{name}, {level.name}": estimate.value
            for level in evaluation.levels
            for name, estimate in averages(level).items()
        }
        _print(f"{settings.name}, on {split}", figures)
    if result.failures:
        say_failures(f"{result.failures} images could not be decoded and were left out", out / "failures.csv")
    say(f"Figures: {', '.join(str(out / split) for split in result.evaluations)}. Shallow models give no bundle.")


def _train_detector(settings: DetectorSettings, out: Path, *, resume: bool, overwrite: bool) -> None:
    from leukopy.workflows.train_detector import train_detector

    with progress_bar() as progress:
        bundle = train_detector(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    say(f"Bundle: {bundle}. Losses: {out / 'history.csv'}")


def _train_red_cell_shapes(settings: RedCellSettings, out: Path, *, resume: bool, overwrite: bool) -> None:
    from leukopy.workflows.train_red_cell_shapes import train_red_cell_shapes

    with progress_bar() as progress:
        bundle = train_red_cell_shapes(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    say(f"Bundle: {bundle}. Losses and figures on validation: {out / 'history.csv'}")


def _print(title: str, figures: dict[str, float | None]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", title=title)
    for name, value in figures.items():
        table.add_row(name, "–" if value is None else f"{value:.4f}")
    Console().print(table)
