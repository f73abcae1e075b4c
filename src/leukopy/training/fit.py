"""Run a recipe: data, trainer, callbacks, resumable checkpoints."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

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
from leukopy.training.settings import PictureRecipe, TrainSettings

CHECKPOINTS = "checkpoints"

Module = TypeVar("Module", bound=lightning.LightningModule)


def fit(settings: TrainSettings, data: CellData, out: Path, *, resume: bool, show_progress: bool) -> CellModule:
    """Train ``optimisation.runs`` times, and return the module with the average of their weights.

    Args:
        settings: the recipe.
        data: its cells, the same for all the trainings.
        out: receives ``curves/version_N/metrics.csv`` (a folder a start, a row an epoch) and ``checkpoints/``, in which
            ``best.ckpt`` has the weights that are returned; trainings that are averaged have both below ``seedN/``.
        resume: resume from ``last.ckpt`` where it exists.
        show_progress: draw a bar.

    Raises:
        TrainingError: the loss is no number any more.
        KeyboardInterrupt: after the state is saved.
    """
    optimisation = settings.optimisation

    def fit_seed(seed: int, folder: Path) -> CellModule:
        seeded = settings.model_copy(update={"seed": seed})
        own = len(data.own)
        fitted, minutes = fit_once(
            lambda: CellModule(seeded, own), seeded, data, folder, resume=resume, show_progress=show_progress
        )
        fitted.minutes = minutes
        return fitted

    if optimisation.runs == 1 and not optimisation.start_share:
        module = fit_seed(settings.seed, out)
    else:
        seeds = range(settings.seed, settings.seed + optimisation.runs)
        modules = [fit_seed(seed, out / f"seed{seed}") for seed in seeds]
        module = _averaged(CellModule(settings, len(data.own)), modules, optimisation.start_share)
    (out / CHECKPOINTS).mkdir(exist_ok=True)
    torch.save({"state_dict": module.state_dict()}, out / CHECKPOINTS / "best.ckpt")
    return module


def _averaged(start: CellModule, modules: list[CellModule], start_share: float) -> CellModule:
    """``start``, with the share of its own weights and the mean of the others' for the rest."""
    own, others = start.net.state_dict(), [module.net.state_dict() for module in modules]
    averaged = others[-1]  # BatchNorm's counts of batches have no mean
    for name, weights in own.items():
        if weights.is_floating_point():
            mean = torch.stack([other[name] for other in others]).mean(dim=0)
            averaged[name] = torch.lerp(mean, weights, start_share)
    start.net.load_state_dict(averaged)
    if start.outside is not None:  # it begins anew in each training
        heads = [module.outside.state_dict() for module in modules if module.outside is not None]
        own_mean = {name: torch.stack([head[name] for head in heads]).mean(dim=0) for name in heads[0]}
        start.outside.load_state_dict(own_mean)
    start.minutes = sum(module.minutes for module in modules)
    return start


def fit_once(
    build: Callable[[], Module],
    settings: PictureRecipe,
    data: CellData,
    out: Path,
    *,
    resume: bool,
    show_progress: bool,
) -> tuple[Module, float]:
    """Train once: the module with the weights that ``optimisation.epoch`` asks for, and the minutes it took.

    Args:
        build: makes the module, which logs ``val/loss``, after chance is seeded.
        settings: the recipe.
        data: its cells.
        out: receives ``curves/`` and ``checkpoints/``, as `fit` says.
        resume: resume from ``last.ckpt`` where it exists.
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
    module = build()
    last = folder / "last.ckpt"
    try:
        trainer.fit(module, data, ckpt_path=last if resume and last.exists() else None, weights_only=False)
    except SystemExit as stop:  # Lightning exits this way after Ctrl-C
        raise KeyboardInterrupt from stop
    if checkpoint.best_model_path == "":
        raise TrainingError(f"{settings.name}: no epoch had a finite validation loss; lower the learning rate.")
    best = folder / "best.ckpt"  # not the path that Lightning noted: the run may have been moved since
    chosen = last if settings.optimisation.epoch == "last" else best
    module.load_state_dict(torch.load(chosen, map_location="cpu", weights_only=False)["state_dict"])
    return module.cpu(), timer.time_elapsed() / 60


def _precision(settings: PictureRecipe, cuda: bool) -> Literal["bf16-mixed", "32-true"]:
    mixed = settings.optimisation.precision == "bf16" or (settings.optimisation.precision == "auto" and cuda)
    return "bf16-mixed" if mixed else "32-true"


def _callbacks(settings: PictureRecipe) -> list[Callback]:
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
