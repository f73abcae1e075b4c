"""``leukopy demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.workflows.demo import DemoSettings


@options(DemoSettings)
def demo(
    given: Given[DemoSettings],
    out: Annotated[Path, typer.Option(help="Folder for the drawn slide and its analysis.")] = Path("demo"),
    overwrite: Overwrite = False,
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
    from leukopy.workflows.demo import demo

    with progress_bar() as progress:
        result = demo(given.build(), out, overwrite=overwrite, progress=progress)
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
