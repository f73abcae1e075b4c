"""``leukopy cluster status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.cluster.status import ClusterStatus


def status(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Folder or URI of the plan.")],
    json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Show the progress of a plan, while it runs or after a crash. Only the plan and the receipts are read.

    Examples:

        leukopy cluster status results/night

        leukopy cluster status s3://bucket/run7 --json
    """
    from rich.console import Console

    from leukopy.cluster.status import read_status

    found = read_status(plan)
    if json:
        import json as format_

        typer.echo(format_.dumps(found.facts(), indent=2))
        return
    Console().print(_table(found))
    for one in found.rounds:
        for text in one.damaged:
            say(f"damaged: {text}. The next run makes it again.")


def _table(found: ClusterStatus) -> Table:
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY

    title = f"{found.kind}, model {found.model}: {'finished' if found.finished else 'not finished'}"
    table = Table("", *(one.where for one in found.rounds), title=title, caption=RESEARCH_USE_ONLY)
    for name, texts in {
        "shards": [f"{one.done:,} of {one.shards:,}" for one in found.rounds],
        "pictures": [f"{one.images_done:,} of {one.images:,}" for one in found.rounds],
        "slides": [f"{one.slides:,}" for one in found.rounds],
        "cells": [f"{one.cells:,}" for one in found.rounds],
        "failures": [f"{one.failures:,}" for one in found.rounds],
        "failed slides": [f"{one.failed_slides:,}" for one in found.rounds],
        "core hours": [f"{one.core_hours:,.2f}" for one in found.rounds],
        "pictures per hour": [_number(one.images_per_hour, "{:,.0f}") for one in found.rounds],
        "remaining hours": [_number(one.remaining_hours, "{:,.2f}") for one in found.rounds],
        "last receipt": [one.last_receipt or "none" for one in found.rounds],
        "repeated calls": [f"{one.retries:,}" for one in found.rounds],
    }.items():
        table.add_row(name, *texts)
    return table


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
