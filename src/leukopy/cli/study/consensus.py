"""``leukopy study consensus``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import say
from leukopy.cli.options import Given, Overwrite, argument, options
from leukopy.studies.consensus import ConsensusSettings


@options(ConsensusSettings, {"table": argument("TABLE")})
def consensus(
    out: Annotated[Path, typer.Option(help="Folder for the consensus, the list to adjudicate and the page.")],
    given: Given[ConsensusSettings],
    overwrite: Overwrite = False,
) -> None:
    """Measure how several annotators agree, estimate the class of each cell, and list the cells to adjudicate.

    TABLE has a column path and one for each annotator, empty where one did not label a cell. The consensus is a
    manifest that `train` and `evaluate` read; `adjudicate.csv` holds the doubtful cells without any label, for a blind
    reading. Examples:

        leukopy study consensus readings.csv --out runs/consensus

        leukopy study consensus readings.csv --annotators anna --annotators ben --level coarse --out runs/two

        leukopy study consensus readings.csv --predictions results/readings/predictions.parquet --out runs/crowdlab
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from leukopy.reports.evaluation import show
    from leukopy.studies.consensus import ADJUDICATE_FILE, CONSENSUS_FILE, PAGE_FILE, consensus

    report = consensus(given.build(), out, overwrite=overwrite)
    word = "agreement" if report.method == "CROWDLAB" else "accuracy"
    table = Table("annotator", "cells", word, title=f"{report.method}, {report.level} classes", box=SIMPLE)
    for one in report.annotators:
        table.add_row(one.name, f"{one.cells:,}", f"{one.accuracy:.3f}")
    Console().print(table)
    pairs = Table("pair", "cells", "Cohen's kappa", box=SIMPLE)
    for pair in report.pairs:
        pairs.add_row(f"{pair.first}, {pair.second}", f"{pair.images:,}", show(pair.kappa, 3))
    Console().print(pairs)
    say(f"Fleiss' kappa: {show(report.fleiss, 3)}. Page: {out / PAGE_FILE}")
    for note in report.notes:
        say(note)
    say(f"Consensus of {report.cells.height:,} cells: {out / CONSENSUS_FILE}")
    say(f"{report.adjudicate:,} cells to adjudicate: {out / ADJUDICATE_FILE}")
