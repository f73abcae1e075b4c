"""The loop of the detector's training, which resumes at its last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from leukopy.core.progress import Progress, silent
from leukopy.models.detector import FieldNet, Maps
from leukopy.training.averaged import AveragedTraining
from leukopy.training.depthwise import DepthwiseGradients
from leukopy.training.detector.canvas import Canvases
from leukopy.training.detector.pictures import Scaled
from leukopy.training.detector.settings import DetectorOptimisation, DetectorSettings
from leukopy.training.detector.targets import Losses, losses

CHECKPOINT = "detector.ckpt"
VALIDATION_BATCHES = 8
"""Batches of canvases, always the same, that measure the validation loss."""
_LARGEST_GRADIENT = 10.0

Sources = Mapping[str, Sequence[Scaled]]


def fit(settings: DetectorSettings, train: Sources, val: Sources, out: Path, progress: Progress = silent) -> FieldNet:
    """Train, or go on from ``out/detector.ckpt``; the averaged network.

    Args:
        settings: the recipe.
        train: pictures of each source in the training split.
        val: those in the validation split.
        out: receives the checkpoint, and ``history.csv`` with the losses.
        progress: told of each step.

    Raises:
        InputError: the checkpoint is damaged or of another network.
        TrainingError: the training diverged.
    """
    torch.manual_seed(settings.seed)
    how = settings.optimisation
    training = AveragedTraining(FieldNet(width=settings.width, pretrained=settings.pretrained), how.steps, how)
    training.resume(out / CHECKPOINT)
    canvases = Canvases(settings, train, how.steps * how.batch_size, seed=settings.seed)
    rest = Subset(canvases, range(training.step * how.batch_size, len(canvases)))
    checks = Canvases(settings, val, VALIDATION_BATCHES * how.batch_size, seed=settings.seed + 1)
    sums, since = torch.zeros(3), 0
    for batch in DataLoader(rest, how.batch_size, num_workers=1):
        found = _losses(training.net.train(), batch)
        training.learn(found.total, largest_gradient=_LARGEST_GRADIENT)
        sums += torch.stack(found).detach()
        since += 1
        progress("train", training.step, how.steps)
        if training.step % how.checkpoint_steps == 0 or training.step == how.steps:
            measured = _named("train", sums / since) | _named("val", _validate(training.average, checks, how))
            training.save(out / CHECKPOINT, {"step": training.step} | measured)
            sums, since = torch.zeros(3), 0
    return training.average


def _losses(net: FieldNet, batch: list[Tensor]) -> Losses:
    with torch.autocast("cpu", torch.bfloat16), DepthwiseGradients():
        maps = net(batch[0])
    return losses(Maps(*(plane.float() for plane in maps)), batch[1])


@torch.inference_mode()
def _validate(net: FieldNet, canvases: Canvases, how: DetectorOptimisation) -> Tensor:
    found = [torch.stack(losses(net(images), planes)) for images, planes in DataLoader(canvases, how.batch_size)]
    return torch.stack(found).mean(0)


def _named(split: str, values: Tensor) -> dict[str, float]:
    return {f"{split}_{name}": round(float(value), 5) for name, value in zip(Losses._fields, values, strict=True)}
