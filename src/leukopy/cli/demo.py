"""``leukopy demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide and its analysis.")] = Path("demo"),
    cells: Annotated[int, typer.Option(help="How many cells are drawn.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed draws the same slide.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the demo that OUT holds.")] = False,
) -> None:
    """Draw a slide, classify it with the bundled model, and show the differential next to the truth.

    Examples:

        leukopy demo

        leukopy demo --cells 500 --seed 7 --out try
    """
    from rich.console import Console
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.taxonomy import find
    from leukopy.workflows.demo import DemoSettings, demo

    settings = DemoSettings.build({"cells": cells, "seed": seed})
    with progress_bar() as progress:
        result = demo(settings, out, overwrite=overwrite, progress=progress)
    differential = result.analysis.differential
    found = {line.code: line for line in (*differential.lines, *differential.beside) if not line.sums}
    table = Table("class", title=f"A drawn slide of {result.analysis.cells} cells", caption=RESEARCH_USE_ONLY)
    for name in ("drawn", "found", "% of leukocytes", "95 % limits"):
        table.add_column(name, justify="right")
    for code, drawn in result.drawn.items():
        if (line := found.get(code)) is None or line.percent is None:
            table.add_row(find(code).name, str(drawn), str(differential.outside.get(code, 0)), "", "")
        else:
            limits = f"{line.low:.1f} to {line.high:.1f}"
            table.add_row(line.name, str(drawn), str(line.count), f"{line.percent:.1f}", limits)
    Console().print(table)
    cells_read = result.analysis.cells
    say(f"Right, cell by cell: {result.right_coarse} of {cells_read} coarse classes, {result.right_fine} fine classes.")
    say("Drawn cells are easier than real ones; figures on real images are in the README.")
    say(f"Report: {result.analysis.report}")
