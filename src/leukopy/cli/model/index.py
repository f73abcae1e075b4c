"""``leukopy model index``."""

from __future__ import annotations

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Given, argument, options
from leukopy.core.errors import EXIT_FAILURES
from leukopy.workflows.index import IndexSettings


@options(IndexSettings, {"model": argument("MODEL")})
def index(given: Given[IndexSettings]) -> None:
    """Write an index of training cells into a bundle: `leukopy explain` then lists the nearest ones.

    It holds embeddings, ids and classes, and no image. Only the training split is read. Example:

        leukopy model index runs/new/bundle --data pbc --root data/pbc
    """
    from leukopy.workflows.index import index_neighbours

    with progress_bar() as progress:
        result = index_neighbours(given.build(), progress=progress)
    say(
        f"{result.kept:,} of {result.cells:,} training cells: {result.path} ({result.path.stat().st_size / 1e6:.1f} MB)"
    )
    for cell_id, why in result.failures.items():
        say(f"{cell_id}: {why}")
    if result.failures:
        raise typer.Exit(EXIT_FAILURES)
