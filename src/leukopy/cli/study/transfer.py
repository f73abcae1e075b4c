"""``leukopy evaluate --transfer``."""

from __future__ import annotations

import sys
from pathlib import Path

from leukopy.cli.console import progress_bar, say


def run_transfer(config: Path, out: Path, arms: list[str]) -> None:
    """Train in some laboratories, test in the others, and print the matrix."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.transfer import LEVELS, matrix
    from leukopy.studies.transfer import read_transfer, transfer

    settings = read_transfer(config)
    with progress_bar() as progress:
        result = transfer(settings, out, only=tuple(arms), progress=progress, show_progress=sys.stderr.isatty())
    for answers, words in LEVELS.items():
        header, *rows = matrix(result.rows, "balanced_accuracy", answers)
        table = Table(*header, title=f"balanced accuracy, answers {words}", box=SIMPLE)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    say(f"Figures: {result.out / 'summary.md'}; intervals of each model: {result.out / 'transfer.csv'}")
