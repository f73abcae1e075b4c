"""Optimiser and learning rate of the trainings on cells."""

from __future__ import annotations

from typing import Any

import lightning
import torch

from leukopy.training.settings import Optimisation


def optimiser_and_schedule(module: lightning.LightningModule, optimisation: Optimisation) -> dict[str, Any]:
    """For ``configure_optimizers``: no decay on norms and biases; linear warm-up, then a cosine to zero."""
    vectors = [p for p in module.parameters() if p.ndim < 2]
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    rate, decay = optimisation.learning_rate, optimisation.weight_decay
    optimizer: torch.optim.Optimizer
    if optimisation.optimiser == "sgd":
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=decay)
    else:
        optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    steps = int(module.trainer.estimated_stepping_batches)
    warmup = max(1, int(steps * optimisation.warmup))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps - warmup)),
        ],
        milestones=[warmup],
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
