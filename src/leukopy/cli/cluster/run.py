"""``leukopy cluster run``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import On
from leukopy.core.errors import EXIT_ERROR, EXIT_FAILURES

_SHOWN = 5


def run(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Folder or URI of the plan.")],
    processes: Annotated[
        int | None, typer.Option(min=1, help="Slides analysed at the same time; by default one per core.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Only the K-th of N equal parts: one job of a job array.")
    ] = None,
    on: On = "local",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Repeat the slides that failed or have unread pictures.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the digest of every part first, and repeat damaged parts.")
    ] = False,
) -> None:
    """Analyse every shard of a plan that has no receipt yet. The same command continues an interrupted run.

    The exit code is 3 where pictures could not be read or slides failed, and 1 where shards are unfinished. Examples:

        leukopy cluster run results/night

        leukopy cluster run s3://bucket/run7 --shard 3/40

        leukopy cluster run s3://bucket/run7 --on auto
    """
    from leukopy.cluster.run import RunOptions, run_plan

    options = RunOptions(processes, _part(shard), on, retry_failed, verify)
    with progress_bar() as progress:
        result = run_plan(plan, options, progress=progress)
    for name, texts in (("made again", result.damaged), ("not done", result.errors)):
        for text in texts[:_SHOWN]:
            say(f"{name}: {text}")
        if len(texts) > _SHOWN:
            say(f"{name}: {len(texts) - _SHOWN:,} more.")
    say(
        f"{result.done:,} of {result.shards:,} shards are done: {result.images:,} pictures, {result.cells:,} cells, "
        f"{result.failures:,} failures, {result.failed_slides:,} failed slides."
    )
    if result.done < result.shards:
        say("Run the same command again to continue.")
        raise typer.Exit(EXIT_ERROR)
    if not result.complete:
        raise typer.Exit(EXIT_FAILURES)


def _part(text: str | None) -> tuple[int, int]:
    """``3/40`` as numbers."""
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise typer.BadParameter(f"{text!r}: write K/N, as in 3/40.", param_hint="--shard")
    return int(found[1]), int(found[2])
