"""``leukopy study datasets`` and ``study scan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Overwrite, Spelling, argument, clash, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.scan import ScanSettings

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.workflows.scan import ScanResult


def datasets(
    name: Annotated[str | None, typer.Argument(help="A data set, for its whole card.", show_default="all")] = None,
) -> None:
    """List the data sets that leukopy reads, or show the card of one: citation, licence, layout on disk, known flaws.

    Examples:

        leukopy study datasets

        leukopy study datasets pbc
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from leukopy.datasets import DATASETS

    if name is not None:
        dataset = DATASETS[name]
        table = Table(show_header=False, box=None)
        for field, value in {**asdict(dataset.card), "label map": dataset.labels}.items():
            separator = "\n" if field == "notes" else ", "
            table.add_row(field.replace("_", " "), separator.join(value) if isinstance(value, tuple) else str(value))
    else:
        table = Table("name", "title", "images", "classes", "licence")
        for each, dataset in DATASETS.items():
            card = dataset.card
            images = "any" if card.images is None else f"{card.images:,}"
            table.add_row(each, card.title, images, str(len(card.classes) or "any"), card.licence)
    Console().print(table)


def _shares(text: str) -> list[float]:
    try:
        train, val, test = (float(part) / 100 for part in text.split("/"))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write three shares in percent, as in 70/10/20") from error
    return [train, val, test]


@options(
    ScanSettings,
    {
        "dataset": argument("NAME"),
        "root": argument("ROOT"),
        "split": Spelling(metavar="70/10/20", type=str, read=_shares),
    },
)
def scan(
    out: Annotated[Path, typer.Option(help="Folder for manifest.parquet, failures.csv, audit.json …")],
    given: Given[ScanSettings],
    overwrite: Overwrite = False,
) -> None:
    """List the images of a data set as a manifest, with their sizes and digests; audit and split them.

    Examples:

        leukopy study scan pbc PBC_dataset_normal_DIB --out scans/pbc --audit

        leukopy study scan folders my_cells --out scans/mine --split 70/10/20 --seed 1

        leukopy study scan manifest my_table.csv --out scans/mine --check
    """
    from rich.console import Console

    from leukopy.workflows.scan import scan

    settings = given.build()
    if "seed" in given.values and settings.split is None:
        raise clash("--seed", "a scan without --split")
    with progress_bar() as progress:
        result = scan(settings, out, overwrite=overwrite, progress=progress)
    console = Console()
    console.print(_classes(result))
    if result.audit:
        console.print(_findings(result))
    say(f"Manifest: {out / 'manifest.parquet'}")
    if result.note:
        say(result.note)
    if len(result.failures):
        say(f"Images that cannot be read: {len(result.failures)}, listed in {out / 'failures.csv'}.")
        raise typer.Exit(EXIT_FAILURES)


def _classes(result: ScanResult) -> Table:
    from rich.table import Table

    from leukopy.datasets import count_classes

    counts = count_classes(result.manifest)
    table = Table(title=f"{len(result.manifest)} images")
    for name in counts.columns:
        table.add_column(name, justify="left" if name in ("source", "code") else "right")
    for row in counts.iter_rows():
        table.add_row(*(str(value) for value in row))
    return table


def _findings(result: ScanResult) -> Table:
    from dataclasses import asdict

    from rich.table import Table

    table = Table("audit", "count", title="Pairs are listed in duplicates.csv")
    for name, value in asdict(result.audit).items() if result.audit else ():
        if isinstance(value, int):
            table.add_row(name.replace("_", " "), str(value))
    return table
