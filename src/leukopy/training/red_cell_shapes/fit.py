"""The loop of the training, which resumes at its last epoch."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional

from leukopy.core.errors import InputError, TrainingError
from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.models.red_cell_net import RedCellNet
from leukopy.taxonomy.red_cell_shapes import SHAPES
from leukopy.training.red_cell_shapes.cells import Cells, change
from leukopy.training.red_cell_shapes.settings import RedCellOptimisation, RedCellSettings

CHECKPOINT, HISTORY = "red_cell_shapes.ckpt", "history.csv"
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
    net = RedCellNet(width=settings.width, dropout=settings.dropout)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    rows: list[dict[str, Any]] = []
    begin = _resume(out / CHECKPOINT, net, average, optimiser, rows)
    weights = _weights(train.shapes, how.balance)
    images, shapes = torch.from_numpy(train.images), torch.from_numpy(train.shapes)
    size = min(how.batch_size, len(shapes))
    steps = len(shapes) // size
    for epoch in range(begin, how.epochs):
        torch.manual_seed(settings.seed * 100_000 + epoch)  # of the features left out
        random = torch.Generator().manual_seed(settings.seed * 100_000 + epoch)
        order = torch.randperm(len(shapes), generator=random)
        total = 0.0
        for place, chosen in enumerate(order[: steps * size].view(steps, size)):
            step = epoch * steps + place
            _set_rate(optimiser, _rate(step, steps * how.epochs, how))
            planes = change(images[chosen], settings.augmentation, random)
            loss = _loss(net.train(), planes, shapes[chosen], weights, how.smoothing)
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"the training diverged in epoch {epoch + 1}: choose a lower learning_rate.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            _follow(average, net, min(how.average, (step + 1) / (step + 10)))
            total += float(loss.detach())
            progress("train", step + 1, steps * how.epochs)
        rows.append({"epoch": epoch + 1, "train_loss": round(total / steps, 5), **_measure(average, val)})
        _save(out, net, average, optimiser, rows)
    return average


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


def _rate(step: int, steps: int, how: RedCellOptimisation) -> float:
    """Learning rate: linear warm-up, then half a cosine to 0."""
    warm = how.warm_up * steps
    if step < warm:
        return how.learning_rate * (step + 1) / (warm + 1)
    return how.learning_rate * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


@torch.no_grad()
def _follow(average: RedCellNet, net: RedCellNet, decay: float) -> None:
    """Move the averaged weights and running statistics towards the network's."""
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _save(
    out: Path, net: RedCellNet, average: RedCellNet, optimiser: torch.optim.Optimizer, rows: list[dict[str, Any]]
) -> None:
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rows": rows,
    }
    with atomic_path(out / CHECKPOINT) as temporary:
        torch.save(state, temporary)
    with atomic_path(out / HISTORY) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _resume(
    path: Path, net: RedCellNet, average: RedCellNet, optimiser: torch.optim.Optimizer, rows: list[dict[str, Any]]
) -> int:
    """The finished epochs of the checkpoint, read into the arguments; 0 where there is none."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        rows.extend(state["rows"])
        return len(rows)
    except Exception as error:  # torch names no common class for damaged files
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be resumed ({reason}). Add --overwrite to begin again.") from error
