"""Train the network that names the shapes of red cells, and export it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import RUN_FILE, begin, check_same, finish, record

if TYPE_CHECKING:
    from leukopy.training.red_cell_shapes.settings import RedCellSettings


def train_red_cell_shapes(
    settings: RedCellSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train on the points of Chula RBC-12; the folder of the bundle.

    Args:
        settings: the recipe; the fields lie below ``LEUKOPY_DATA``.
        out: receives ``run.json``, ``history.csv``, ``red_cell_shapes.ckpt`` and ``bundle/``.
        resume: resume the interrupted run in ``out``.
        overwrite: overwrite the results in ``out``.
        progress: reports the reading and the steps.

    Raises:
        InputError: a field or the checkpoint cannot be read.
        OutputError: ``out`` holds something else, or a run of another recipe.
        TrainingError: there are no fields, or the training diverged.
    """
    from leukopy.training.red_cell_shapes.cells import load
    from leukopy.training.red_cell_shapes.export import export
    from leukopy.training.red_cell_shapes.fit import fit

    run = record("train red_cell_shapes", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    write_json(out / RUN_FILE, run)
    train, val = (load(data_folder(), split, progress) for split in ("train", "val"))
    net = fit(settings, train, val, out, progress)
    export(net, settings, train, val, out / "bundle")
    finish(out, run)
    return out / "bundle"
