"""``leukopy patients demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, options
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.workflows.demo import DemoPatientsSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.patients.workflows.demo import DemoPatientsResult


@options(DemoPatientsSettings)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the drawn patients and their results.")],
    given: Given[DemoPatientsSettings],
    overwrite: Overwrite = False,
) -> None:
    """Draw patients, classify them with the bundled model, and write their pages.

    Examples:

        leukopy patients demo --out demo

        leukopy patients demo --out try --patients 3 --seed 7
    """
    from rich.console import Console

    from leukopy.patients.workflows.demo import demo_patients

    with progress_bar() as progress:
        result = demo_patients(given.build(), out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    say("These patients are drawn, not real; the bundled model learnt from real ones.")
    say(f"{result.agreeing} of {len(result.drawn)} decisions are as drawn; that measures nothing clinical.")
    say(f"Report: {result.judged.report}")


def _table(result: DemoPatientsResult) -> Table:
    from rich.table import Table

    thresholds = result.judged.patients["threshold"].drop_nulls()
    said = f"; the decision is tumoral from a probability of {thresholds[0]:.2f} on" if len(thresholds) else ""
    table = Table("patient", title=f"Drawn patients{said}", caption=RESEARCH_USE_ONLY)
    for name in ("age", "count, 10⁹/L", "cells", "tumoral", "decision", "drawn as"):
        table.add_column(name, justify="left" if name in ("decision", "drawn as") else "right")
    for row in result.judged.patients.iter_rows(named=True):
        table.add_row(
            row["patient_id"],
            f"{row['age']:.0f}",
            f"{row['lymphocytes']:.1f}",
            str(row["cells"]),
            "–" if row["probability"] is None else f"{row['probability']:.2f}",
            row["decision"] or "none",
            result.drawn[row["patient_id"]],
        )
    return table
