"""``leukopy patients``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.patients.data import cohorts, draw, scan
from leukopy.cli.patients.demo import demo
from leukopy.cli.patients.train import crossval, train
from leukopy.cli.study.ablate import ablate
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.patients.workflows.predict import PredictPatientsResult

app = typer.Typer(
    help="Reactive or tumoral lymphocytosis: from a patient's cells, age and lymphocyte count.", no_args_is_help=True
)
app.command()(scan)
app.command()(draw)
app.command()(cohorts)
app.command()(crossval)
app.command()(train)
app.command()(ablate)
app.command()(demo)

_SHOWN, _SHOWN_PROBLEMS = 40, 10


@app.command()
def predict(  # noqa: PLR0913, PLR0917 (one option per setting)
    out: Annotated[Path, typer.Option(help="Folder for tables and pages.")],
    path: Annotated[
        Path | None,
        typer.Argument(readable=False, help="The table of the patients, or the folder that holds it."),
    ] = None,
    cells: Annotated[
        Path | None, typer.Option(help="A manifest of the images (columns patient_id, path), in place of folders.")
    ] = None,
    reference_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Where ages are counted that have no date of sampling.",
            show_default="2020-01-01 for the lymphocytosis challenge, else none",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A bundled patient model, or a patient bundle's folder.", show_default="lymphocytosis"),
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="Of the decisions: balanced or triage.", show_default="the model's first")
    ] = None,
    shown: Annotated[
        int | None, typer.Option(help="Cells towards each side that are shown with a heat map.", show_default="6")
    ] = None,
    pages: Annotated[
        bool | None,
        typer.Option(
            "--pages/--no-pages", help="Write a page per patient and one of the cohort.", show_default="pages"
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Worker threads.", show_default="all cores")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier run, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Judge patients: probability of tumoral, decision, how sure, and the cells that weighed most.

    The cohort is laid out as `leukopy patients scan` reads it. The exit code is 3 where that command finds a problem
    (`problems.csv`), where an image cannot be read, and where a patient gets no decision, since none of the images can
    be read or they do not show lymphocytes (`failures.csv`). Examples:

        leukopy patients predict ward/ --out results/ward

        leukopy patients predict ward/ --operating-point triage --no-pages --out results/ward-triage

        leukopy patients predict ward/patients.csv --cells ward/cells.csv --out results/listed
    """
    from rich.console import Console

    from leukopy.patients.workflows.predict import PredictPatientsSettings, predict_patients

    if path is None and config is None:
        raise typer.BadParameter("give the PATH of the patients, or --config with the settings of an earlier run")
    changes = {
        "path": path,
        "cells": cells,
        "reference_date": reference_date and reference_date.date(),
        "model": model,
        "operating_point": operating_point,
        "shown": shown,
        "pages": pages,
        "threads": threads,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = PredictPatientsSettings.read(config, **given) if config else PredictPatientsSettings.build(given)
    with progress_bar() as progress:
        result = predict_patients(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    _end(result)


@app.command()
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
    say(f"Report: {result.report}" if result.report else f"Tables: {result.folder}")
    if len(result.problems):
        for message in result.problems["message"][:_SHOWN_PROBLEMS]:
            say(message)
        say(f"{len(result.problems):,} problems of table and folders: {result.folder / 'problems.csv'}")
    if len(result.failures):
        say(f"{len(result.failures):,} images or patients failed: {result.folder / 'failures.csv'}")
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
