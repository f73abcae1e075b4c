"""``leukopy patients predict`` and ``patients report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, argument, clash, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.workflows.predict import PredictPatientsSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.patients.workflows.predict import PredictPatientsResult

_SHOWN, _SHOWN_PROBLEMS = 40, 10


@options(PredictPatientsSettings, {"path": argument("PATH")})
def predict(
    out: Annotated[Path, typer.Option(help="Folder for tables and pages.")],
    given: Given[PredictPatientsSettings],
    overwrite: Overwrite = False,
) -> None:
    """Estimate each patient's probability of tumoral lymphocytosis, with a decision and the decisive cells.

    `leukopy patients scan --help` describes the layout of a cohort. The exit code is 3 if the table has problems
    (`problems.csv`), if an image is unreadable or shows no single cell, or if a patient gets no decision
    (`failures.csv`). Examples:

        leukopy patients predict ward/ --out results/ward

        leukopy patients predict ward/ --operating-point triage --no-pages --out results/ward-triage

        leukopy patients predict ward/patients.csv --cells ward/cells.csv --out results/listed
    """
    from rich.console import Console

    from leukopy.patients.workflows.predict import predict_patients

    settings = given.build()
    if "shown" in given.values and not settings.pages:
        raise clash("--shown", "--no-pages")
    with progress_bar() as progress:
        result = predict_patients(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    _end(result)


def report(out: Annotated[Path, typer.Argument(help="The folder of a finished run.", readable=False)]) -> None:
    """Write the pages of a finished run again, from its tables.

    Example:

        leukopy patients report results/ward-triage
    """
    from leukopy.patients.workflows.predict import report_patients

    with progress_bar() as progress:
        result = report_patients(out, progress=progress)
    say(f"Report: {result.report}")


def _end(result: PredictPatientsResult) -> None:
    """Say where things lie, and exit with a code that tells of failures."""
    if result.note:
        say(result.note)
    say(f"Report: {result.report}" if result.report else f"Tables: {result.folder}")
    if len(result.problems):
        for message in result.problems["message"][:_SHOWN_PROBLEMS]:
            say(message)
        say(f"{len(result.problems):,} problems of table and folders: {result.folder / 'problems.csv'}")
    if len(result.failures):
        say_failures(f"{len(result.failures):,} images or patients failed", result.folder / "failures.csv")
    if len(result.problems) or len(result.failures):
        raise typer.Exit(EXIT_FAILURES)


def _table(result: PredictPatientsResult) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("patient", title=f"{result.patients.height:,} patients", caption=RESEARCH_USE_ONLY)
    for name in ("tumoral", "95 % interval", "decision", "cells", "remarks"):
        table.add_column(name, justify="left" if name in ("decision", "remarks") else "right")
    for row in result.patients.head(_SHOWN).iter_rows(named=True):
        judged = row["probability"] is not None
        interval = "–" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        table.add_row(
            escape(row["patient_id"]),
            f"{row['probability']:.2f}" if judged else "–",
            interval,
            row["decision"] or "none",
            f"{row['cells']:,}",
            ", ".join(row["flags"]).replace("_", " "),
        )
    if result.patients.height > _SHOWN:
        table.add_row("…", "", "", "", "", f"patients.csv holds all {result.patients.height:,}")
    return table
