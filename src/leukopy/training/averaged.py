"""A training on pictures of fields: the network, the running average of its weights, and a checkpoint."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from leukopy.core.errors import InputError, TrainingError
from leukopy.core.files import atomic_path
from leukopy.training.allocator import keep_large_blocks

HISTORY = "history.csv"

Net = TypeVar("Net", bound=nn.Module)


class AveragedTraining(Generic[Net]):
    """AdamW (Loshchilov and Hutter, ICLR 2019) with warm-up and cosine; the average of the weights is what is kept."""

    def __init__(self, net: Net, steps: int, how: Any) -> None:
        """A training that begins.

        Args:
            net: trained in place.
            steps: of the whole training.
            how: has ``learning_rate``, ``weight_decay``, ``warm_up`` (share of the steps) and ``average`` (decay).
        """
        keep_large_blocks()
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net = net
        self.average = copy.deepcopy(net).eval()
        self.rows: list[dict[str, Any]] = []
        """The history: one row per checkpoint."""
        self.step = 0
        """Steps done."""
        self._steps, self._how = steps, how
        self._optimiser = torch.optim.AdamW(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)

    def learn(self, loss: Tensor, *, largest_gradient: float = math.inf) -> None:
        """Take one step down a loss.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.step += 1
        if not math.isfinite(float(loss.detach())):
            raise TrainingError(f"the training diverged at step {self.step}: choose a lower learning_rate.")
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), largest_gradient)
        self._optimiser.step()
        self._follow(min(self._how.average, self.step / (self.step + 10)))

    def save(self, path: Path, row: dict[str, Any]) -> None:
        """Write a checkpoint, and the history with one more row beside it."""
        self.rows.append(row)
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "rows": self.rows,
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)
        with (
            atomic_path(path.with_name(HISTORY)) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, row.keys())
            writer.writeheader()
            writer.writerows(self.rows)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint, where there is one.

        Raises:
            InputError: it is damaged, or of another network.
        """
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step, self.rows = int(state["step"]), list(state["rows"])
        except Exception as error:  # torch names no common class for damaged files
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: cannot be resumed ({reason}). Add --overwrite to begin again.") from error

    def _rate(self) -> float:
        """Learning rate of the present step: linear warm-up, then half a cosine to 0."""
        warm = self._how.warm_up * self._steps
        if self.step < warm:
            return float(self._how.learning_rate * self.step / warm)
        return float(self._how.learning_rate * (1 + math.cos(math.pi * (self.step - warm) / (self._steps - warm))) / 2)

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """Move the averaged weights and running statistics towards the network's."""
        for kept, new in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)
