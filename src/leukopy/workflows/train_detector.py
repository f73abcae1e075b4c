"""Train the detector of cells on fields, and export it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import RUN_FILE, begin, check_same, finish, record

if TYPE_CHECKING:
    from leukopy.training.detector.settings import DetectorSettings

CHECKED_PICTURES = 8


def train_detector(
    settings: DetectorSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a detector from public boxes; the folder of its bundle.

    Args:
        settings: the recipe; its pictures lie below ``LEUKOPY_DATA``.
        out: receives ``run.json``, ``history.csv``, ``detector.ckpt`` and ``bundle/``.
        resume: resume the interrupted run in ``out``.
        overwrite: overwrite the results in ``out``.
        progress: reports the reading and the steps.

    Raises:
        InputError: a picture or the checkpoint cannot be read.
        OutputError: ``out`` holds something else, or a run of another recipe.
        TrainingError: a source has no pictures, or the training diverged.
    """
    import numpy as np

    from leukopy.training.detector.canvas import Canvases
    from leukopy.training.detector.export import export
    from leukopy.training.detector.fit import fit
    from leukopy.training.detector.pictures import draw, load
    from leukopy.training.detector.settings import DRAWN, MOST_DRAWN

    run = record("train detector", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    write_json(out / RUN_FILE, run)
    data = data_folder()
    train, val = (
        {use.source: load(use, split, settings.red_cell_px, data, progress) for use in settings.sources}
        for split in ("train", "val")
    )
    if settings.drawn:
        seeds = [settings.seed * MOST_DRAWN + number for number in range(settings.drawn.fields)]
        checked = len(seeds) // 10
        train[DRAWN] = draw(seeds[checked:], settings.red_cell_px, progress)
        val[DRAWN] = draw(seeds[:checked], settings.red_cell_px, progress)
    net = fit(settings, train, val, out, progress)
    checks = Canvases(settings, val, CHECKED_PICTURES, seed=settings.seed + 2)
    images = np.stack([checks[place][0] for place in range(CHECKED_PICTURES)])
    export(net, settings, train, images, out / "bundle")
    finish(out, run)
    return out / "bundle"
