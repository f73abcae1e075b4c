"""``leukopy cluster plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, Spelling, argument, options
from leukopy.cluster.settings import PlanSettings
from leukopy.core.settings import read_mapping


@options(
    PlanSettings,
    {
        "input": argument("INPUT"),
        "input_kind": Spelling(("--as",)),
        "reference": Spelling(metavar="FILE", type=Path, read=read_mapping),
    },
)
def plan(
    out: Annotated[str, typer.Option(metavar="URI", help="Folder or s3://bucket/prefix of plan, receipts and parts.")],
    given: Given[PlanSettings],
) -> None:
    """List the pictures of many slides once, and pack whole slides into shards.

    Credentials of object stores are read from the environment. Examples:

        leukopy cluster plan night/ --out results/night

        leukopy cluster plan manifest.parquet --out s3://bucket/run7

        leukopy cluster plan s3://bucket/slides --out s3://bucket/run8 --shard-images 20000
    """
    from leukopy.cluster.planning import make_plan

    settings = given.build()
    with progress_bar() as progress:
        made = make_plan(settings, out, progress=progress)
    slides = sum(shard.slides for shard in made.shards)
    say(f"{made.rows:,} pictures ({made.kind}) of {slides:,} slides in {len(made.shards):,} shards.")
    if made.note:
        say(f"note: {made.note}")
    say(f"Next: leukopy cluster run {out}")
