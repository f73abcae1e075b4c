"""Train a recipe and export its bundle."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import MissingExtraError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import RUN_FILE, begin, finish, record
from leukopy.core.settings import apply_changes, read_mapping

if TYPE_CHECKING:
    from leukopy.bundle import Card
    from leukopy.training.settings import TrainSettings

MANIFEST_FILE = "manifest.csv"
"""Images of a training, test images included, with the split: `evaluate`, `adapt` and another training take it."""

_LOG = logging.getLogger("leukopy.train")


@dataclass(frozen=True)
class TrainResult:
    """Bundle folder, its card, and the number of undecodable pictures (``failures.csv``)."""

    bundle: Path
    card: Card
    failures: int


def read_recipe(path: Path, changes: dict[str, Any]) -> TrainSettings:
    """Read a recipe and apply ``changes`` (dotted name -> value), as in ``{"optimisation.epochs": 2}``.

    Raises:
        MissingExtraError: torch is not installed.
        SettingsError: a name or value is wrong.
    """
    values = read_mapping(path)
    return build_recipe(apply_changes(values.get("settings", values), changes), where=str(path))


def build_recipe(values: dict[str, Any], where: str) -> TrainSettings:
    """Check the values of a recipe; ``where`` names their origin in messages.

    Raises:
        MissingExtraError: torch is not installed.
        SettingsError: a name or value is wrong.
    """
    require_torch()
    from leukopy.training.settings import TrainSettings

    return TrainSettings.build(values, where=where)


def require_torch() -> None:
    """Raise an error with the remedy where torch is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("leukopy train", "train") from error


def train(
    settings: TrainSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    show_progress: bool = False,
) -> TrainResult:
    """Train, choose the epoch on validation, export ``out/bundle``.

    Args:
        settings: the recipe; its relative roots lie below ``LEUKOPY_DATA``.
        out: receives ``run.json``, ``manifest.csv`` (the images with their split), ``curves/``, ``curves.png``,
            ``checkpoints/``, ``failures.csv`` and ``bundle/``.
        resume: resume the interrupted run in ``out``.
        overwrite: overwrite the results in ``out``.
        progress: reports the decoding.
        show_progress: draw the epochs' bar.

    Raises:
        BundleError: the teacher cannot be opened.
        OutputError: ``out`` holds something else.
        TrainingError: no image to train on, images of one class only, the training diverged, or the teacher sees
            pictures of another light or stain.
    """
    import polars as pl

    from leukopy.datasets import MANIFEST_SCHEMA, write_manifest
    from leukopy.reports.curves import write_curves
    from leukopy.training.data import CellData
    from leukopy.training.export import export
    from leukopy.training.fit import fit
    from leukopy.training.sources import DRAWN, check_classes
    from leukopy.training.teacher import Teacher

    if settings.distillation:  # found wrong before an hour of work
        Teacher(settings.distillation, settings.preprocess)
    run = record("train", settings)
    begin(out, run, resume=resume, overwrite=overwrite)  # resumed with other settings: longer, or at another rate
    write_json(out / RUN_FILE, run)
    data = CellData(settings, data_folder(), cache_folder(), progress)
    with atomic_path(out / "failures.csv") as temporary:
        data.failures.write_csv(temporary)
    listed = data.listed.filter(pl.col("source") != DRAWN)  # drawn cells lie in no file
    write_manifest(out / MANIFEST_FILE, listed.select(*MANIFEST_SCHEMA))
    # Once more: pictures that could not be decoded are gone.
    check_classes(data.train_set.cells["code"], (*settings.outside, *(cell.code for cell in data.own)))
    if plain := data.train_set.plain():
        # Without a handler Python prints the line alone, on standard error.
        _LOG.warning("%s of the training pictures looked at, %s for one, are of one plain colour, without a cell. "
                     "Check how they were made.", len(plain), plain[0])  # fmt: skip
    module = fit(settings, data, out, resume=resume, show_progress=show_progress)
    bundle = export(module, settings, data, out / "bundle")
    write_curves(out)
    finish(out, run, failures=len(data.failures), minutes=round(module.minutes, 2))
    return TrainResult(bundle.path, bundle.card, len(data.failures))
