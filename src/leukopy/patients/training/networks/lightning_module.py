"""The training loop of a patient's network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress
from leukopy.patients.models import Experts, ImagePatientNet, PatientNet
from leukopy.patients.training.networks.settings import PatientNetSettings
from leukopy.patients.training.networks.visits import Visit

Watched = Sequence[tuple[Tensor, Tensor]]
"""Cells and clinical numbers of patients that training does not learn from."""


class BagModule(lightning.LightningModule):
    """Fits a patient's network; after every epoch, asks it about the watched patients."""

    def __init__(
        self,
        net: PatientNet | Experts | ImagePatientNet,
        settings: PatientNetSettings,
        watched: Watched,
        epochs: int,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = net
        self.settings = settings
        self.logits: list[list[float]] = []
        """Of the watched patients, one list an epoch."""
        self.losses: list[float] = []
        """Mean over the training's patients, one an epoch."""
        self._watched = watched
        self._epochs = epochs
        self._progress = progress
        self._seen: list[Tensor] = []

    def training_step(self, epoch: Iterable[list[Visit]], _index: int) -> None:
        """All steps of one epoch: with a step a call, Lightning's work around it would cost more than the step."""
        optimizer = cast(Optimizer, self.optimizers(use_pl_optimizer=False))
        for visits in epoch:
            losses = [self._loss(visit) for visit in visits]
            self._seen.extend(loss.detach() for loss in losses)
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        cast(LRScheduler, self.lr_schedulers()).step()

    def _loss(self, visit: Visit) -> Tensor:
        cells, clinical, label, weight = (part.to(self.device) for part in visit)
        return weight * self.net.loss(cells, clinical, label)

    def on_train_epoch_end(self) -> None:
        """Keep the epoch's loss and the watched patients' logits.

        Raises:
            TrainingError: the loss is no number any more.
        """
        loss = torch.stack(self._seen).mean()
        self._seen.clear()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"{self.settings.net}: the loss of epoch {self.current_epoch + 1} is no number; lower learning_rate."
            )
        self.losses.append(float(loss))
        self.net.eval()
        with torch.inference_mode():
            answers = [self.net(*(part.to(self.device) for part in patient)).logit for patient in self._watched]
            self.logits.append(torch.stack(answers).double().tolist() if answers else [])
        self.net.train()
        self._progress("epochs", self.current_epoch + 1, self._epochs)

    def configure_optimizers(self) -> Any:
        """The optimiser of the settings; its rate falls by ``decay`` after each epoch."""
        settings = self.settings
        parameters = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        rate, decay = settings.learning_rate, settings.weight_decay
        optimizer: Optimizer
        if settings.optimiser == "sgd":
            optimizer = torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay, fused=True)
        else:
            optimizer = torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, settings.decay)]
