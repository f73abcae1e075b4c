"""``leukopy explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.core.errors import EXIT_FAILURES

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.workflows.explain import ExplainResult


def explain(  # noqa: PLR0913, PLR0917 (one option per setting)
    out: Annotated[Path, typer.Option(help="Folder for overlays, arrays, figures and report.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            readable=False,  # what cannot be read is told in one line, as any other input
            help="Cell images, folders of them, lists (.txt) or manifests (.csv, .parquet).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A bundled model, a bundle folder, or the folder of a training run.", show_default="default"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="cam, score-cam; with a training run also grad-cam, grad-cam++, roll-out. May be given several times.",
            show_default="cam",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Class to explain (SNE, BNE, EO …).", show_default="the class of each cell")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            help="8: the mean map over the turned and mirrored views of a cell; 1: as it is.", show_default="8"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of deletion and insertion; 0: not measured.", show_default="20")
    ] = None,
    sanity: Annotated[
        int | None,
        typer.Option(help="Images compared with a network with random weights (training runs).", show_default="20"),
    ] = None,
    neighbours: Annotated[
        int | None, typer.Option(help="Nearest training cells shown for each cell.", show_default="5")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings to start from: the run.json of an earlier run, or YAML.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the explanation that OUT holds.")] = False,
) -> None:
    """Show where a model looks in each cell, how far that can be believed, and the training cells most like it.

    Bundles are explained without torch (cam, score-cam). Examples:

        leukopy explain slide3/c17.jpg --out results/c17

        leukopy explain slide3/ --method cam --method score-cam --out results/maps

        leukopy explain slide3/ --target BNE --out results/why-not-band

        leukopy explain slide3/ --model runs/new --method grad-cam --method grad-cam++ --out results/gradients
    """
    from rich.console import Console

    from leukopy.workflows.explain import ExplainSettings, explain

    if not paths and config is None:
        raise typer.BadParameter("give the PATHS of the images, or --config with the settings of an earlier run")
    changes = {
        "inputs": paths or None,
        "model": model,
        "methods": method or None,
        "target": target,
        "views": views,
        "steps": steps,
        "sanity": sanity,
        "neighbours": neighbours,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = ExplainSettings.read(config, **given) if config else ExplainSettings.build(given)
    with progress_bar() as progress:
        result = explain(settings, out, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    say(f"Report: {result.report}")
    if result.failures:
        say(
            f"{result.failures:,} of {result.cells + result.failures:,} images failed: {result.folder / 'failures.csv'}"
        )
        raise typer.Exit(EXIT_FAILURES)


def _table(result: ExplainResult) -> Table:
    from rich.table import Table

    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.reports.explanation import COLUMNS, show, title_of

    table = Table("map", title=f"Explanation of {result.cells:,} {'cell' if result.cells == 1 else 'cells'}")
    for name in ("deletion", "insertion", "heat in the cell", "in the nucleus"):
        table.add_column(name, justify="right")
    for found in result.figures:
        table.add_row(title_of(found.method), *(show(getattr(found, column)) for column in COLUMNS))
    table.caption = f"Deletion: low is good. Insertion: high is good.\n{RESEARCH_USE_ONLY}"
    return table
