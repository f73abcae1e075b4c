"""``leukopy models index``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES


def index(
    model: Annotated[str, typer.Argument(help="A bundled model, or a bundle folder.")],
    data: Annotated[str, typer.Option(help="A data set (pbc …) or a manifest that the model was trained on.")],
    root: Annotated[Path | None, typer.Option(help="Where the data set lies.")] = None,
    per_class: Annotated[int, typer.Option(help="Cells kept of each of the 11 classes.")] = 100,
) -> None:
    """Write an index of training cells into a bundle, so that `leukopy explain` names those most like a cell.

    It holds embeddings, ids and classes, no picture; only the training split is read. Example:

        leukopy models index runs/new/bundle --data pbc --root data/pbc
    """
    from leukopy.workflows.index import IndexSettings, index_neighbours

    settings = IndexSettings.build({"model": model, "data": data, "root": root, "per_class": per_class})
    with progress_bar() as progress:
        result = index_neighbours(settings, progress=progress)
    say(
        f"{result.kept:,} of {result.cells:,} training cells: {result.path} ({result.path.stat().st_size / 1e6:.1f} MB)"
    )
    for cell_id, why in result.failures.items():
        say(f"{cell_id}: {why}")
    if result.failures:
        raise typer.Exit(EXIT_FAILURES)
