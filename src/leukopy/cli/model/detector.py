"""``leukopy model evaluate-detector``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.workflows.evaluate_detector import SCORES_FILE, EvaluateDetectorSettings


@options(EvaluateDetectorSettings)
def evaluate_detector(
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    given: Given[EvaluateDetectorSettings],
    overwrite: Overwrite = False,
) -> None:
    """Measure a detector of cells on fields: average precision and recall by source and kind, with 95 % intervals.

    A found box is right where it overlaps the marked one by at least half. Objects cut by the border are not scored.
    Examples:

        leukopy model evaluate-detector --sources txl_bccd --out results/fields

        leukopy model evaluate-detector --sources drawn --drawn-fields 300 --out results/drawn

        leukopy model evaluate-detector --model runs/detector/bundle --split val --scale known --out results/known
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.evaluation import show
    from leukopy.workflows.evaluate_detector import evaluate_detector

    settings = given.build()
    with progress_bar() as progress:
        found = evaluate_detector(settings, out, overwrite=overwrite, progress=progress)
    recall = f"recall at {settings.false_per_picture:g} false"
    table = Table("source", "kind", "pictures", "objects", "average precision", recall, box=SIMPLE)
    for source, scores in found.items():
        for kind, each in scores.kinds.items():
            counts = f"{each.pictures:,}", f"{each.wanted:,}"
            table.add_row(source, kind, *counts, show(each.average_precision, 3), show(each.recall, 3))
    Console().print(table)
    for source, scores in found.items():
        if scores.red_cell_count_error is not None:
            say(f"Mean error of the number of red cells per picture, {source}: {scores.red_cell_count_error:.1%}")
    say(f"Figures: {out / SCORES_FILE}")
