"""``leukopy datasets list``, ``show`` and ``scan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.workflows.scan import ScanResult

app = typer.Typer(
    help="Public data sets and your own: what they are, what they hold, what is wrong with them.",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """List the data sets that leukopy reads.

    Example:

        leukopy datasets list
    """
    from rich.console import Console
    from rich.table import Table

    from leukopy.datasets import DATASETS

    table = Table("name", "title", "images", "classes", "licence")
    for name, dataset in DATASETS.items():
        card = dataset.card
        images = "any" if card.images is None else f"{card.images:,}"
        table.add_row(name, card.title, images, str(len(card.classes) or "any"), card.licence)
    Console().print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A name that `leukopy datasets list` gives.")]) -> None:
    """Show the card of a data set: citation, licence, how to get it, how it must lie on disk, known flaws.

    Example:

        leukopy datasets show pbc
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from leukopy.datasets import DATASETS

    dataset = DATASETS[name]
    table = Table(show_header=False, box=None)
    for field, value in {**asdict(dataset.card), "label map": dataset.labels}.items():
        separator = "\n" if field == "notes" else ", "
        table.add_row(field.replace("_", " "), separator.join(value) if isinstance(value, tuple) else str(value))
    Console().print(table)


@app.command()
def scan(  # noqa: PLR0913, PLR0917 - one parameter per option
    name: Annotated[str, typer.Argument(help="A name that `leukopy datasets list` gives.")],
    root: Annotated[Path, typer.Argument(help="The folder that holds the data set, or a manifest of it.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.parquet, failures.csv, audit.json …")],
    label_map: Annotated[str | None, typer.Option(help="Read labels as another source names its classes.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Decode every image whole, not its header only.")] = False,
    audit: Annotated[bool, typer.Option("--audit", help="Look for duplicates and contradicting labels.")] = False,
    split: Annotated[
        str | None, typer.Option(metavar="70/10/20", help="Split anew, by group and duplicates, stratified by class.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier scan left in OUT.")] = False,
) -> None:
    """List the images of a data set as a manifest, with their sizes and digests; audit and split them.

    Examples:

        leukopy datasets scan pbc PBC_dataset_normal_DIB --out scans/pbc --audit

        leukopy datasets scan folders my_cells --out scans/mine --split 70/10/20 --seed 1

        leukopy datasets scan manifest my_table.csv --out scans/mine --check
    """
    from rich.console import Console

    from leukopy.workflows.scan import ScanSettings, scan

    settings = ScanSettings.build(
        {
            "dataset": name,
            "root": root,
            "label_map": label_map,
            "check": check,
            "audit": audit,
            "split": None if split is None else _shares(split),
            "seed": seed,
        }
    )
    with progress_bar() as progress:
        result = scan(settings, out, overwrite=overwrite, progress=progress)
    console = Console()
    console.print(_classes(result))
    if result.audit:
        console.print(_findings(result))
    say(f"Manifest: {out / 'manifest.parquet'}")
    if len(result.failures):
        say(f"Images that cannot be read: {len(result.failures)}, listed in {out / 'failures.csv'}.")
        raise typer.Exit(EXIT_FAILURES)


def _shares(text: str) -> list[float]:
    try:
        train, val, test = (float(part) / 100 for part in text.split("/"))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write three shares in percent, as in 70/10/20") from error
    return [train, val, test]


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
