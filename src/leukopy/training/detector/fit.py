"""The loop of the detector's training, which resumes at its last checkpoint."""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from leukopy.core.errors import InputError, TrainingError
from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress, silent
from leukopy.models.detector import FieldNet, Maps
from leukopy.training.detector.canvas import Canvases
from leukopy.training.detector.pictures import Scaled
from leukopy.training.detector.settings import DetectorOptimisation, DetectorSettings
from leukopy.training.detector.targets import Losses, losses

CHECKPOINT = "detector.ckpt"
HISTORY = "history.csv"
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
    net = FieldNet(width=settings.width, pretrained=settings.pretrained)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    rows: list[dict[str, Any]] = []
    begin = _resume(out / CHECKPOINT, net, average, optimiser, rows)
    canvases = Canvases(settings, train, how.steps * how.batch_size, seed=settings.seed)
    rest = Subset(canvases, range(begin * how.batch_size, len(canvases)))
    checks = Canvases(settings, val, VALIDATION_BATCHES * how.batch_size, seed=settings.seed + 1)
    sums = torch.zeros(3)
    since = 0
    for step, batch in enumerate(DataLoader(rest, how.batch_size, num_workers=1), start=begin + 1):
        found = _step(net.train(), batch, optimiser, _rate(step, how))
        if not math.isfinite(float(found.total.detach())):
            raise TrainingError(f"the training diverged at step {step}: choose a lower learning_rate.")
        _follow(average, net, min(how.average, step / (step + 10)))
        sums += torch.stack(found).detach()
        since += 1
        progress("train", step, how.steps)
        if step % how.checkpoint_steps == 0 or step == how.steps:
            rows.append({"step": step} | _named("train", sums / since) | _named("val", _validate(average, checks, how)))
            _save(out, net, average, optimiser, step, rows)
            sums, since = torch.zeros(3), 0
    return average


def _step(net: FieldNet, batch: list[Tensor], optimiser: torch.optim.Optimizer, rate: float) -> Losses:
    for group in optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        maps = net(batch[0])
    found = losses(Maps(*(plane.float() for plane in maps)), batch[1])
    optimiser.zero_grad(set_to_none=True)
    found.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_GRADIENT)
    optimiser.step()
    return found


def _rate(step: int, how: DetectorOptimisation) -> float:
    """Learning rate: linear warm-up, then half a cosine to 0."""
    warm = how.warm_up * how.steps
    if step < warm:
        return how.learning_rate * step / warm
    return how.learning_rate * (1 + math.cos(math.pi * (step - warm) / (how.steps - warm))) / 2


@torch.no_grad()
def _follow(average: FieldNet, net: FieldNet, decay: float) -> None:
    """Move the averaged weights and running statistics towards the network's."""
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.inference_mode()
def _validate(net: FieldNet, canvases: Canvases, how: DetectorOptimisation) -> Tensor:
    found = [torch.stack(losses(net(images), planes)) for images, planes in DataLoader(canvases, how.batch_size)]
    return torch.stack(found).mean(0)


def _named(split: str, values: Tensor) -> dict[str, float]:
    return {f"{split}_{name}": round(float(value), 5) for name, value in zip(Losses._fields, values, strict=True)}


def _save(
    out: Path, net: FieldNet, average: FieldNet, optimiser: torch.optim.Optimizer, step: int, rows: list[dict[str, Any]]
) -> None:  # fmt: skip
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "rows": rows,
    }
    with atomic_path(out / CHECKPOINT) as temporary:
        torch.save(state, temporary)
    with atomic_path(out / HISTORY) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _resume(
    path: Path, net: FieldNet, average: FieldNet, optimiser: torch.optim.Optimizer, rows: list[dict[str, Any]]
) -> int:
    """The step of the checkpoint, read into the arguments; 0 where there is none."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        rows.extend(state["rows"])
        return int(state["step"])
    except Exception as error:  # torch names no common class for damaged files
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be resumed ({reason}). Add --overwrite to begin again.") from error
