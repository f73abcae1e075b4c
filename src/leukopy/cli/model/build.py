"""``leukopy model build``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Overwrite

if TYPE_CHECKING:
    from leukopy.workflows.build import Step


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Steps of the build (configs/build_*.yaml).")],
    out: Annotated[Path, typer.Option(help="Folder of the steps, and of the complete bundle.")],
    overwrite: Overwrite = False,
) -> None:
    """Make a complete model: train it and its bases, fit its further outputs, index it.

    The fits are attributes, out-of-distribution score and slide check. Finished steps are skipped: the same command
    resumes an interrupted build. Example:

        leukopy model build configs/build_default.yaml --out runs/build
    """
    from leukopy.workflows.build import build, read_build

    settings = read_build(recipe)
    with progress_bar() as progress:
        shown = sys.stderr.isatty()
        result = build(settings, out, overwrite=overwrite, progress=progress, show_progress=shown, told=_tell)
    say(f"Bundle: {result.bundle}. Next: leukopy evaluate … --model {result.bundle} --split test")


def _tell(step: Step) -> None:
    say(f"{step.name}: {'finished before' if step.kept else 'finished'}, in {step.folder}")
