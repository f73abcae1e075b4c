"""The loop of the training, which resumes at its last epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional

from leukopy.core.progress import Progress, silent
from leukopy.models.red_cell_net import RedCellNet
from leukopy.taxonomy.red_cell_shapes import SHAPES
from leukopy.training.averaged import AveragedTraining
from leukopy.training.red_cell_shapes.cells import Cells, change
from leukopy.training.red_cell_shapes.settings import RedCellSettings

CHECKPOINT = "red_cell_shapes.ckpt"
_AT_ONCE = 512


def fit(settings: RedCellSettings, train: Cells, val: Cells, out: Path, progress: Progress = silent) -> RedCellNet:
    """Train, or resume from ``out/red_cell_shapes.ckpt``; the averaged network.

    Args:
        settings: the recipe.
        train: cells of the training split.
        val: those of the validation split, measured after each epoch.
        out: receives the checkpoint and ``history.csv``.
        progress: told of each step.

    Raises:
        InputError: the checkpoint is damaged or of another network.
        TrainingError: the training diverged.
    """
    torch.manual_seed(settings.seed)
    how = settings.optimisation
    weights = _weights(train.shapes, how.balance)
    images, shapes = torch.from_numpy(train.images), torch.from_numpy(train.shapes)
    size = min(how.batch_size, len(shapes))
    steps = len(shapes) // size
    net = RedCellNet(width=settings.width, dropout=settings.dropout)
    training = AveragedTraining(net, steps * how.epochs, how)
    training.resume(out / CHECKPOINT)
    for epoch in range(len(training.rows), how.epochs):
        torch.manual_seed(settings.seed * 100_000 + epoch)  # of the features left out
        random = torch.Generator().manual_seed(settings.seed * 100_000 + epoch)
        order = torch.randperm(len(shapes), generator=random)
        total = 0.0
        for chosen in order[: steps * size].view(steps, size):
            planes = change(images[chosen], settings.augmentation, random)
            loss = _loss(training.net.train(), planes, shapes[chosen], weights, how.smoothing)
            training.learn(loss)
            total += float(loss.detach())
            progress("train", training.step, steps * how.epochs)
        row = {"epoch": epoch + 1, "train_loss": round(total / steps, 5), **_measure(training.average, val)}
        training.save(out / CHECKPOINT, row)
    return training.average


@torch.inference_mode()
def embed(net: RedCellNet, cells: Cells) -> Tensor:
    """Features (N, D) of cells as they are served."""
    images = torch.from_numpy(cells.plain)
    starts = range(0, len(images), _AT_ONCE)
    parts = [net.eval().embed(images[start : start + _AT_ONCE].permute(0, 3, 1, 2).float()) for start in starts]
    return torch.cat(parts)


@torch.inference_mode()
def logits(net: RedCellNet, cells: Cells) -> NDArray[np.float32]:
    """Logits (N, len(SHAPES)) of cells as they are served."""
    found: NDArray[np.float32] = net.eval().head(embed(net, cells)).numpy()
    return found


def _measure(net: RedCellNet, val: Cells) -> dict[str, float]:
    found = logits(net, val)
    loss = functional.cross_entropy(torch.from_numpy(found), torch.from_numpy(val.shapes))
    right = found.argmax(axis=1) == val.shapes
    macro = f1_score(val.shapes, found.argmax(axis=1), average="macro", zero_division=0)
    return {
        "val_loss": round(float(loss), 5),
        "val_accuracy": round(float(right.mean()), 5),
        "val_macro_f1": round(float(macro), 5),
    }


def _weights(shapes: NDArray[np.int64], power: float) -> Tensor:
    counts = np.bincount(shapes, minlength=len(SHAPES)).clip(min=1)
    weights = (len(shapes) / counts) ** power
    return torch.tensor(weights / (weights * counts).sum() * len(shapes), dtype=torch.float32)


def _loss(net: RedCellNet, planes: Tensor, shapes: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        found = net.logits(planes.contiguous(memory_format=torch.channels_last))
    return functional.cross_entropy(found.float(), shapes, weight=weights, label_smoothing=smoothing)
