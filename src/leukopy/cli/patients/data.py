"""``leukopy patients cohorts``, ``patients scan`` and ``patients draw``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Spelling, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.workflows.draw import DrawPatientsSettings
from leukopy.patients.workflows.scan import ScanPatientsSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.patients.workflows.scan import ScanPatientsResult

_SHOWN = 20


def cohorts(
    name: Annotated[str | None, typer.Argument(help="A cohort, for its whole card.", show_default="all")] = None,
) -> None:
    """List the cohorts of patients that leukopy reads, or show the card of one: licence, layout, known flaws.

    Examples:

        leukopy patients cohorts

        leukopy patients cohorts lymphocytosis
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from leukopy.patients.data import COHORTS

    if name is not None:
        table = Table(show_header=False, box=None)
        for field, value in asdict(COHORTS[name]).items():
            table.add_row(
                field.replace("_", " "), "\n".join(value) if isinstance(value, tuple) else str(value or "any")
            )
    else:
        table = Table("name", "title", "patients", "images", "licence")
        for each, card in COHORTS.items():
            numbers = ("any" if count is None else f"{count:,}" for count in (card.patients, card.images))
            table.add_row(each, card.title, *numbers, card.licence)
    Console().print(table)


@options(ScanPatientsSettings, {"path": argument("PATH")})
def scan(
    given: Given[ScanPatientsSettings],
    out: Annotated[Path | None, typer.Option(help="A .csv file for the problems.")] = None,
) -> None:
    """Count the patients and cells of a cohort; list missing, impossible and excluded values.

    The cohort is a folder: a table with one row per patient (patient_id, and where known label, age or birth_date and
    sample_date, lymphocytes, gender), and beside it a folder of images for each. Problems make the exit code 3.
    Examples:

        leukopy patients scan ward/

        leukopy patients scan ward/patients.csv --cells ward/cells.csv --reference-date 2024-06-30

        leukopy patients scan lymphocytosis/ --check --out problems.csv
    """
    from rich.console import Console

    from leukopy.patients.workflows.scan import scan_patients

    with progress_bar() as progress:
        result = scan_patients(given.build(), out, progress=progress)
    Console().print(_groups(result))
    if result.cohort.ages:
        say(result.cohort.ages)
    say(RESEARCH_USE_ONLY)
    if len(result.problems):
        for message in result.problems["message"][:_SHOWN]:
            say(message)
        rest = len(result.problems) - _SHOWN
        if rest > 0 and not out:
            say(f"… and {rest} more; --out problems.csv lists all.")
        say(f"Problems: {len(result.problems)}" + (f", listed in {out}." if out else "."))
        raise typer.Exit(EXIT_FAILURES)


def _groups(result: ScanPatientsResult) -> Table:
    from rich.table import Table

    table = Table(
        title=f"{result.cohort.name}: {len(result.cohort.patients)} patients, {len(result.cohort.cells):,} cells",
        caption="Medians: cells per patient (fewest to most), age in years, lymphocyte count in 10⁹/L",
    )
    for name in ("label", "patients", "cells", "per patient", "age", "count"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label, patients, cells, fewest, median, most, age, count in result.groups.iter_rows():
        known = ("unknown" if value is None else f"{value:.1f}" for value in (age, count))
        table.add_row(label, str(patients), f"{cells:,}", f"{median:g} ({fewest}-{most})", *known)
    return table


@options(DrawPatientsSettings, {"cells": Spelling(metavar="FEWEST MOST")})
def draw(
    out: Annotated[Path, typer.Option(help="Folder for the drawn patients.")],
    given: Given[DrawPatientsSettings],
    overwrite: Overwrite = False,
) -> None:
    """Draw patients with known truth, to test leukopy without real patients.

    Reactive patients are younger, with a lower count and varied cells; tumoral ones are older, with a higher count and
    small, uniform cells. The drawings claim no realism. The other commands read OUT/patients.csv and the folder of
    images of each patient; OUT/truth.csv holds the kind of each cell. Examples:

        leukopy patients draw --out drawn

        leukopy patients draw --out new --patients 5 --cells 10 60 --seed 7 --no-labels

        leukopy patients draw --out again --config drawn/run.json
    """
    from leukopy.patients.workflows.draw import draw_patients

    with progress_bar() as progress:
        result = draw_patients(given.build(), out, overwrite=overwrite, progress=progress)
    say(f"Drawn, not real: {result.reactive} reactive and {result.tumoral} tumoral patients, {result.cells:,} cells.")
    say(f"Truth: {result.truth}. Next: leukopy patients scan {out}")
    say(RESEARCH_USE_ONLY)
