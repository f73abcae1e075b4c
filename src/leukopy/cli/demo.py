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
    out: Annotated[Path, typer.Option(help="Folder for the drawn fields and their analysis.")] = Path("demo"),
    overwrite: Overwrite = False,
) -> None:
    """Draw fields of a slide, find and classify their cells, and show the differential next to the truth.

    Examples:

        leukopy demo

        leukopy demo --fields 50 --seed 7 --out try
    """
    from rich.console import Console
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.taxonomy import find
    from leukopy.taxonomy.objects import PLATELET, RED_CELL
    from leukopy.workflows.demo import demo

    settings = given.build()
    with progress_bar() as progress:
        result = demo(settings, out, overwrite=overwrite, progress=progress)
    differential = result.analysis.differential
    found = {line.code: line for line in (*differential.lines, *differential.beside) if not line.sums}
    table = Table("class", title=f"{settings.fields} drawn fields of one slide", caption=RESEARCH_USE_ONLY)
    for name in ("drawn", "found", "% of leukocytes", "95 % limits"):
        table.add_column(name, justify="right")
    for code, drawn in result.drawn.items():
        if (line := found.get(code)) is None or line.percent is None:
            table.add_row(find(code).name, str(drawn), str(differential.outside.get(code, 0)), "", "")
        else:
            limits = f"{line.low:.1f} to {line.high:.1f}"
            table.add_row(line.name, str(drawn), str(line.count), f"{line.percent:.1f}", limits)
    for kind in (RED_CELL, PLATELET):
        table.add_row(kind.replace("_", " "), *(f"{number:,}" for number in result.objects[kind]), "", "")
    Console().print(table)
    wanted = sum(result.drawn.values())
    say(f"Of {wanted} drawn nucleated cells, {result.located} were found where they lie.")
    say(f"Of these, {result.right_coarse} have the right coarse class, {result.right_fine} the right fine class.")
    say("Drawn cells are easier than real ones; figures on real images are in the README.")
    say(f"Report: {result.analysis.report}")
