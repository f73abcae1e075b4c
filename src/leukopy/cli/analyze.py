"""``leukopy analyze``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say, say_failures
from leukopy.cli.options import Given, Overwrite, Resume, Spelling, argument, clash, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.settings import read_mapping
from leukopy.workflows.analyze import AnalyzeSettings

_SHOWN = 40
"""Maximum number of slides listed in the terminal; the page lists all."""

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.fields.counts import FieldCounts
    from leukopy.slides.differential import Differential, Line
    from leukopy.workflows.slide_run import SlideResult
    from leukopy.workflows.slides_run import SlidesResult


class Document(StrEnum):
    """A preliminary document for laboratory systems."""

    HL7 = "hl7"
    FHIR = "fhir"


@options(
    AnalyzeSettings,
    {
        "input": argument("PATH"),
        "input_kind": Spelling(("--as",)),
        "reference": Spelling(metavar="FILE", type=Path, read=read_mapping),
    },
)
def analyze(
    out: Annotated[Path, typer.Option(help="Folder for rows, differential count and report.")],
    given: Given[AnalyzeSettings],
    resume: Resume = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Analyse again the slides of OUT that failed or have unread images."),
    ] = False,
    overwrite: Overwrite = False,
    write: Annotated[
        list[Document] | None,
        typer.Option(help="Write `result.hl7` (HL7 v2) or `result.fhir.json` (FHIR R4) too; may be repeated."),
    ] = None,
) -> None:
    """Turn pictures of cells, photographs of fields or whole slides into a differential count and a report.

    Single cells, fields of view and whole slides are recognised by their content; --as overrides this. Images that
    cannot be read are listed in `failures.csv` and make the exit code 3. Ctrl-C keeps all finished work; --resume
    continues it. Examples:

        leukopy analyze slide3/ --out results/slide3

        leukopy analyze slide3/ --out results/slide3 --resume

        leukopy analyze photographs/ --as fields --out results/slide4

        leukopy analyze smear.svs --leukocytes 400 --out results/slide5

        leukopy analyze scans/ --as slide --out results/night

        leukopy analyze slide3/ --write hl7 --write fhir --out results/slide3-messages

        leukopy analyze --config results/slide3/run.json --model runs/new/bundle --out results/slide3-new
    """
    from rich.console import Console
    from rich.panel import Panel

    from leukopy.workflows.analyze import analyze
    from leukopy.workflows.slides_run import SlidesResult

    if retry_failed and overwrite:
        raise clash("--retry-failed", "--overwrite")
    settings = given.build()
    with progress_bar() as progress:
        result = analyze(
            settings, out, resume=resume, retry_failed=retry_failed, overwrite=overwrite, progress=progress
        )
    if write:
        _write_documents(result, settings, write)
    if isinstance(result, SlidesResult):
        _say_slides(result)
    else:
        alarm = result.differential.alarm
        if alarm and alarm.raised:
            Console().print(Panel(alarm.message, title="Blasts", border_style="bold red"))
        Console().print(_table(result.differential))
        if result.counts:
            say("\n".join((_counted(result.counts), *result.counts.notes)))
        say(f"Report: {result.report}")
        if result.failures:
            say_failures(f"{_inputs(result)} failed", result.folder / "failures.csv")
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)


def _write_documents(result: SlideResult | SlidesResult, settings: AnalyzeSettings, write: list[Document]) -> None:
    """The documents of each slide."""
    from leukopy.core.errors import MissingExtraError
    from leukopy.workflows.slides_run import SLIDES_FOLDER, SlidesResult

    try:
        from leukopy.review.analysis_documents import write_documents
    except ModuleNotFoundError as error:
        raise MissingExtraError("leukopy analyze --write", "app") from error
    hl7, fhir = Document.HL7 in write, Document.FHIR in write
    if isinstance(result, SlidesResult):
        for folder in sorted((result.folder / SLIDES_FOLDER).glob("*/cells.parquet")):
            write_documents(folder.parent, folder.parent.name, hl7=hl7, fhir=fhir)
    else:
        write_documents(result.folder, settings.title or settings.input.name, hl7=hl7, fhir=fhir)


def _inputs(result: SlideResult) -> str:
    """``2 of 40 images``."""
    counts = result.counts
    if counts is None:
        return f"{result.failures:,} of {result.record.pictures:,} images"
    return f"{result.failures:,} of {counts.fields + sum(counts.left_out.values()):,} fields"


def _counted(counts: FieldCounts) -> str:
    """``12 fields: 110 leukocytes, 2,310 red cells, 85 platelets.``"""
    found = {
        "field": counts.fields,
        "leukocyte": counts.leukocytes,
        "red cell": counts.red_cells.count,
        "platelet": counts.platelets.count,
    }
    first, *others = (f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in found.items())
    return f"{first}: {', '.join(others)}."


def _say_slides(result: SlidesResult) -> None:
    """Table of the slides, conspicuous ones first."""
    from rich.console import Console
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    slides = result.slides
    first = slides.filter(slides["attention"] > 0).sort("attention", descending=True).head(_SHOWN)
    table = Table("slide", "leukocytes", "warnings", title=f"{len(slides):,} slides", caption=RESEARCH_USE_ONLY)
    for row in first.iter_rows(named=True):
        table.add_row(row["slide"], f"{row['leukocytes'] or 0:,}", (row["notes"] or "").replace(" | ", "\n"))
    Console().print(table)
    say(f"Page: {result.page}. Table: {result.folder / 'slides.csv'}")
    if not result.complete:
        without = len(slides) - slides.filter(status="analysed").height
        say(f"{result.failures:,} images could not be read; {without:,} slides have no differential.")


def _table(found: Differential) -> Table:
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.taxonomy import find

    table = Table("class", title=f"Differential count of {found.leukocytes:,} leukocytes")
    total = bool(found.classification_error)
    limits = ("95 % limits, sampling", "and wrong classes") if total else ("95 % limits, sampling alone",)
    for name in ("cells", "%", *limits, "usual", ""):
        table.add_column(name, justify="right")
    for line in found.lines:
        usual = "{:g} to {:g}".format(*line.reference) if line.reference else ""
        flag = line.flag if line.flag in ("L", "H") else ""
        table.add_row(
            line.name, f"{line.count:,}", *_share(line, total=total), usual, flag, style="bold" if line.sums else None
        )
    table.add_section()
    for line in found.beside:
        table.add_row(f"{line.name} (per 100 leukocytes)", f"{line.count:,}", *_share(line, total=total))
    for code, count in found.outside.items():
        table.add_row(find(code).name, f"{count:,}")
    alarm = found.alarm.message if found.alarm and found.alarm.raised else ""  # stands above the table
    star = any(line.mainly_classification for line in (*found.lines, *found.beside))
    notes = [note for note in found.notes if note != alarm]
    table.caption = "\n".join([*(["* mainly classification error"] if star else []), *notes, RESEARCH_USE_ONLY])
    return table


def _share(line: Line, *, total: bool) -> tuple[str, ...]:
    """Share, limits, and with ``total`` the limits of both errors; ``*``: mainly classification error."""
    if line.percent is None:
        return ("–",) * (2 + total)
    shown = f"{line.percent:.1f}", f"{line.low:.1f} to {line.high:.1f}"
    if not total:
        return shown
    star = "*" if line.mainly_classification else ""
    return *shown, "–" if line.total_low is None else f"{line.total_low:.1f} to {line.total_high:.1f}{star}"
