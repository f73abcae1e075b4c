"""Run a recipe: data, trainer, callbacks, resumable checkpoints."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    Timer,
)
from lightning.pytorch.loggers import CSVLogger

from leukopy.core.errors import TrainingError
from leukopy.training.allocator import keep_large_blocks
from leukopy.training.data import CellData
from leukopy.training.lightning_module import CellModule
from leukopy.training.settings import TrainSettings

CHECKPOINTS = "checkpoints"


def fit(settings: TrainSettings, data: CellData, out: Path, *, resume: bool, show_progress: bool) -> CellModule:
    """Train, and return the module with the weights of the epoch that ``optimisation.epoch`` asks for.

    Args:
        settings: the recipe.
        data: its cells.
        out: receives ``curves/version_N/metrics.csv`` (a folder a start, a row an epoch) and ``checkpoints/``.
        resume: go on from ``checkpoints/last.ckpt`` where there is one.
        show_progress: draw a bar.

    Raises:
        TrainingError: the loss is no number any more.
        KeyboardInterrupt: after the state is saved.
    """
    keep_large_blocks()
    _quieten()
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    folder = out / CHECKPOINTS
    checkpoint = ModelCheckpoint(folder, filename="best", monitor="val/loss", enable_version_counter=False)
    # Its own callback: `save_last` would write it only after an epoch that is the best so far.
    every_epoch = ModelCheckpoint(folder, filename="last", enable_version_counter=False)
    cuda = torch.cuda.is_available()
    timer = Timer()
    trainer = lightning.Trainer(
        max_epochs=settings.optimisation.epochs,
        accelerator="gpu" if cuda else "cpu",
        devices=1,
        precision=_precision(settings, cuda),
        gradient_clip_val=settings.optimisation.gradient_clip or None,
        logger=CSVLogger(out, name="curves"),  # a folder of its own for each start: --resume loses nothing
        callbacks=[timer, checkpoint, every_epoch, *_callbacks(settings)],
        enable_progress_bar=show_progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )
    module = CellModule(settings)
    last = folder / "last.ckpt"
    try:
        trainer.fit(module, data, ckpt_path=last if resume and last.exists() else None, weights_only=False)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C, once it has shut down in order
        raise KeyboardInterrupt from stop
    if checkpoint.best_model_path == "":
        raise TrainingError(f"{settings.name}: no epoch had a finite validation loss; lower the learning rate.")
    best = folder / "best.ckpt"  # not the path that Lightning noted: the run may have been moved since
    chosen = last if settings.optimisation.epoch == "last" else best
    module.load_state_dict(torch.load(chosen, map_location="cpu", weights_only=False)["state_dict"])
    if chosen == last:  # best.ckpt is what `leukopy.models.checkpoints` reads
        torch.save({"state_dict": module.state_dict()}, best)
    module.minutes = timer.time_elapsed() / 60
    return module.cpu()


def _precision(settings: TrainSettings, cuda: bool) -> Literal["bf16-mixed", "32-true"]:
    mixed = settings.optimisation.precision == "bf16" or (settings.optimisation.precision == "auto" and cuda)
    return "bf16-mixed" if mixed else "32-true"


def _callbacks(settings: TrainSettings) -> list[Callback]:
    optimisation = settings.optimisation
    callbacks: list[Callback] = [LearningRateMonitor("epoch")]
    if optimisation.average:
        callbacks.append(EMAWeightAveraging(decay=optimisation.average, use_buffers=True))
    if optimisation.patience:
        callbacks.append(EarlyStopping("val/loss", patience=optimisation.patience))
    return callbacks


def _quieten() -> None:
    """Silence Lightning's advice on hardware; its errors still show."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
