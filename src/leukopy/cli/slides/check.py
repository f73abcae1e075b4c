"""``leukopy slides check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.fields.check import SlideCheck


def check(
    slides: Annotated[list[Path], typer.Argument(help="Files of whole slides, or folders of a DICOM series.")],
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check whole slides: format, levels, scale, objective; name a remedy for each missing or broken part.

    The exit code is 3 where a slide has a problem. Examples:

        leukopy slides check smear.svs

        leukopy slides check scans/*.mrxs --json
    """
    from dataclasses import asdict

    from rich.console import Console

    from leukopy.workflows.check_slides import check_slides

    with progress_bar() as progress:
        found = check_slides(slides, progress=progress)
    if json:
        import json as format_

        typer.echo(format_.dumps([asdict(each) for each in found], indent=2))
    else:
        for each in found:
            Console().print(_table(each))
            for line in each.problems:
                say(f"problem: {line}")
            for line in each.notes:
                say(f"note: {line}")
    if not all(each.usable for each in found):
        raise typer.Exit(EXIT_FAILURES)


def _table(check: SlideCheck) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    scale = f"{check.um_per_px:.4g} µm per pixel, from the {check.scale_source}" if check.um_per_px else "unknown"
    size = "unknown" if check.size is None else f"{check.size / 1e6:,.1f} MB"
    rows = {
        "format": check.format or "not read",
        "file": size,
        "levels": ", ".join(f"{width} x {height}" for width, height in check.levels) or "unknown",
        "scale": scale,
        "objective": "not stated" if check.objective is None else f"{check.objective:g}x",
        "problems": str(len(check.problems)),
    }
    table = Table(title=escape(check.path), show_header=False, caption=RESEARCH_USE_ONLY)
    for name, value in rows.items():
        table.add_row(name, escape(value))
    return table
