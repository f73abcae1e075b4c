"""``leukopy study generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Changes, Overwrite, Resume, clash, read_changes
from leukopy.core.provenance import RESEARCH_USE_ONLY


def generate(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe (configs/generator.yaml).", readable=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the generator, its pictures and their figures.")],
    changes: Changes = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a generator of cells by class and laboratory, make pictures, and judge them.

    Judged: distance to real pictures, a classifier fitted to made pictures alone, and whether training pictures are
    copied. `made.csv` lists the pictures as a manifest. Requires the extras `train` and `generate`. Examples:

        leukopy study generate configs/generator.yaml --out runs/generator

        leukopy study generate configs/generator.yaml --out runs/generator --resume

        leukopy study generate configs/generator.yaml --out runs/try --set optimisation.epochs=2 --set made.per_class=10
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.generated import shown
    from leukopy.studies.generate import generate, read_generator

    if resume and overwrite:
        raise clash("--resume", "--overwrite")
    settings = read_generator(recipe, read_changes(changes))
    with progress_bar() as progress:
        report = generate(
            settings, out, resume=resume, overwrite=overwrite, progress=progress, show_progress=sys.stderr.isatty()
        )
    table = Table(
        "kind", "laboratory", "pictures", "distance", "of real ones", "copies", title=report.title, box=SIMPLE,
        caption=RESEARCH_USE_ONLY,
    )  # fmt: skip
    for look in report.looks:
        counts = f"{look.pictures:,}", shown(look.distance), shown(look.floor), f"{look.copies.ratio:.2f}"
        table.add_row(look.kind, look.laboratory, *counts)
    Console().print(table)
    for row in report.fitted:
        say(f"Classifier fitted to {row.pictures:,} {row.kind} pictures: macro F1 {row.macro_f1:.3f}")
    say(f"Figures: {out / 'generated.md'}; pictures: {out / 'made.csv'}")
