"""``leukopy exchange``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import say

_Results = Annotated[Path, typer.Argument(help="Results of one slide, as `leukopy analyze --out` wrote them.")]


def export(
    results: _Results,
    out: Annotated[Path, typer.Option(help="Folder for tasks.json and interface.xml.")],
) -> None:
    """Write results as pre-labels for Label Studio. CVAT takes `boxes.coco.json`, QuPath `qupath/*.geojson`.

    Example:

        leukopy exchange export results/slide4 --out labelling/slide4
    """
    from leukopy.workflows.exchange import export_prelabels

    say(f"{out}: {export_prelabels(results, out):,} pictures with pre-labels.")


def import_(
    results: _Results,
    labels: Annotated[Path, typer.Argument(help="Export of Label Studio (JSON), CVAT (COCO 1.0) or QuPath (GeoJSON).")],
    out: Annotated[Path, typer.Option(help="Table (.csv) of the labels beside the model's.")],
) -> None:
    """Read the corrections made in a labelling program as a table.

    For pictures of single cells the table is a manifest for `leukopy adapt` and `leukopy evaluate`. Example:

        leukopy exchange import results/slide3 corrected.json --out corrected.csv
    """
    from leukopy.core.files import write_text
    from leukopy.workflows.exchange import read_labels

    found = read_labels(results, labels)
    write_text(out, found.table.write_csv())
    counts = ", ".join(f"{found.count(change):,} {change}" for change in ("same", "class", "added", "removed"))
    say(f"{out}: {counts}.")
