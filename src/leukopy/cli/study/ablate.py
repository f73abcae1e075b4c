"""``leukopy study ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukopy.cli.console import progress_bar, say
from leukopy.cli.options import Changes, Overwrite, Resume, clash, read_changes
from leukopy.core.errors import EXIT_FAILURES
from leukopy.core.provenance import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from rich.table import Table

    from leukopy.patients.workflows.ablate import AblateResult


def ablate(
    out: Annotated[Path, typer.Option(help="Folder for curves, figure and table.")],
    path: Annotated[
        Path | None,
        typer.Argument(readable=False, help="The table of the patients, or the folder that holds it."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings to start from: a recipe, or the run.json of an earlier run."),
    ] = None,
    changes: Changes = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Try optimisers, learning rates and decays on the folds of a cohort: balanced accuracy after each epoch.

    The best epoch of a fold, picked on the same fold, gives optimistic figures; the table shows by how much. Images
    that cannot be read, that show no single cell or that are copies are listed in `failures.csv` and make the exit code
    3. A recipe's cohort lies below `LEUKOPY_DATA`. Examples:

        leukopy study ablate ward/ --out runs/grid --set net.epochs=2

        leukopy study ablate --config configs/patients/ablation.yaml --out runs/frozen

        leukopy study ablate --config configs/patients/ablation.yaml --out runs/frozen --resume

        leukopy study ablate --config configs/patients/seed_resnet18.yaml --out runs/seed
    """
    from rich.console import Console

    from leukopy.patients.workflows.ablate import ablate, read_ablation

    if resume and overwrite:
        raise clash("--resume", "--overwrite")
    if path is None and config is None:
        raise typer.BadParameter("give the PATH of the patients, or --config with the settings of an earlier run")
    given = read_changes(changes)
    settings = read_ablation(config, given | ({"path": str(path.absolute())} if path else {}))
    with progress_bar() as progress:
        result = ablate(settings, out, resume=resume, overwrite=overwrite, progress=progress)
    Console().print(_table(result))
    say(f"Table: {out / 'ablation.md'}; figure: {out / 'ablation.png'}")
    if len(result.failures):
        say(f"{len(result.failures):,} images were left out: {out / 'failures.csv'}")
        raise typer.Exit(EXIT_FAILURES)


def _table(result: AblateResult) -> Table:
    from rich.table import Table

    table = Table("setting", title="Balanced accuracy, mean over the folds", caption=RESEARCH_USE_ONLY)
    for name in ("last epoch", "one epoch for all", "each fold's best (optimistic)"):
        table.add_column(name, justify="right")
    for row in result.figures:
        one = f"{row.mean_at_one:.3f} ({row.one_epoch})"
        table.add_row(row.setting, f"{row.mean_at_last:.3f} ({row.last_epoch})", one, f"{row.mean_of_best:.3f}")
    return table
