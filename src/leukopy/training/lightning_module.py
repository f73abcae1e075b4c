"""The training loop of a cell classifier."""

from __future__ import annotations

from typing import Any, Literal

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional

from leukopy.models.cell_net import CellNet, Outputs
from leukopy.models.checkpoints import load_run
from leukopy.models.losses import balanced_weights, mix, partial_label_loss
from leukopy.models.weights import load_file
from leukopy.taxonomy import FINE, coarse_matrix, fine_members
from leukopy.training.depthwise import DepthwiseGradients
from leukopy.training.optimiser import optimiser_and_schedule
from leukopy.training.settings import TrainSettings
from leukopy.training.teacher import Teacher


class CellModule(lightning.LightningModule):
    """Fits a ``CellNet`` by the partial-label loss; validates at both levels.

    Classes outside have logits of their own, beside the network's: they shape its embedding. Only those of the
    laboratory's own classes, the last ones, are exported.
    """

    def __init__(self, settings: TrainSettings, own: int = 0) -> None:
        super().__init__()
        self.settings = settings
        backbone = settings.backbone
        self.net = CellNet(
            backbone.name,
            settings.preprocess,
            pretrained=backbone.pretrained,
            dropout=backbone.dropout,
        )
        if backbone.weights:
            load_file(self.net.backbone, backbone.weights)
        if backbone.run:
            load_run(self.net, backbone.run)
        classes = len(settings.outside) + own
        self.outside = nn.Linear(self.net.backbone.embedding_size, classes) if classes else None
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.minutes = 0.0
        """Wall time of the fit, resumed parts included; set by ``fit``."""
        self._class_weights: Tensor | None = None
        self._teacher: Teacher | None = None
        self._seen: list[tuple[Tensor, Tensor]] = []

    def on_fit_start(self) -> None:
        """Weigh the classes, once the training images are known; call the teacher."""
        members: NDArray[np.bool_] = self.trainer.datamodule.train_set.members  # type: ignore[attr-defined]
        weights = class_weights(self.settings, members)
        self._class_weights = None if weights is None else weights.to(self.device)
        if self.settings.distillation:  # here, since averaging copies the module before
            self._teacher = Teacher(self.settings.distillation, self.settings.preprocess)

    def on_train_epoch_start(self) -> None:
        """Freeze what the recipe freezes, once the small epochs are over."""
        optimisation = self.settings.optimisation
        if self.current_epoch >= optimisation.small_epochs:
            self.net.backbone.freeze(optimisation.frozen_stages)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        images, members = batch
        if self.settings.loss.mixup_alpha:
            images, partner, share = mix(images, self.settings.loss.mixup_alpha)
        small = self.current_epoch < self.settings.optimisation.small_epochs
        logits = self._logits(shrink(images, self.settings.optimisation.small_size) if small else images)
        loss = self._loss(logits, members)
        if self.settings.loss.mixup_alpha:
            loss = share * loss + (1 - share) * self._loss(logits, members[partner])
        if self._teacher:
            loss = torch.lerp(loss, self._teacher.loss(images, logits), self._teacher.choice.share)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def _logits(self, images: Tensor) -> Tensor:
        """float (N, F + K): of the fine classes, then of the classes outside, the laboratory's own last."""
        with DepthwiseGradients():
            outputs: Outputs = self.net(images)
        if self.outside is None:
            return outputs.logits
        return torch.cat([outputs.logits, self.outside(self.net.dropout(outputs.embedding))], dim=1)

    def _answered(self, logits: Tensor) -> Tensor:
        """The logits of the exported classes: the fine ones and the laboratory's own."""
        first = len(FINE)
        return torch.cat([logits[:, :first], logits[:, first + len(self.settings.outside) :]], dim=1)

    def _loss(self, logits: Tensor, members: Tensor) -> Tensor:
        return partial_label_loss(
            logits,
            members,
            self.settings.optimisation.label_smoothing,
            focus=self.settings.loss.focal_gamma,
            weights=self._class_weights,
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Collect the logits; figures are computed over the whole split."""
        images, members = batch
        self._seen.append((self._answered(self._logits(images)).float().cpu(), members.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log loss, coarse accuracy and balanced accuracy, fine accuracy and macro F1."""
        logits, members = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        self.log("val/loss", partial_label_loss(logits, members), prog_bar=True)
        figures = validation_figures(logits.numpy(), members.numpy(), self.settings.level)
        for name, value in figures.items():
            self.log(f"val/{name}", value, prog_bar=name in ("coarse_balanced_accuracy", "fine_macro_f1"))

    def configure_optimizers(self) -> Any:
        """AdamW or SGD, warm-up and cosine, as the recipe says."""
        return optimiser_and_schedule(self, self.settings.optimisation)


def class_weights(settings: TrainSettings, members: NDArray[np.bool_]) -> Tensor | None:
    """float (F + K,), or None for classes that all weigh the same.

    Args:
        settings: ``loss.class_weights``, and the level that is balanced.
        members: bool (N, F + K), of the training images.
    """
    chosen = settings.loss.class_weights
    if chosen == "balanced":
        own = members.shape[1] - len(FINE)
        groups = torch.eye(members.shape[1]) if settings.level == "fine" else torch.from_numpy(coarse_matrix(own))
        return balanced_weights(torch.from_numpy(members), groups)
    if chosen == "none":
        return None
    weights = torch.ones(members.shape[1])
    for code, weight in chosen.items():
        weights[list(fine_members(code))] = weight
    return weights


def shrink(images: Tensor, size: int) -> Tensor:
    """Images (N, S, S, 3) to (N, size, size, 3), antialiased."""
    planes = images.permute(0, 3, 1, 2).float()
    return functional.interpolate(planes, size=size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)


def validation_figures(
    logits: NDArray[np.floating[Any]], members: NDArray[np.bool_], level: Literal["fine", "coarse"]
) -> dict[str, float]:
    """Figures of a split at both levels; the fine one over the images whose fine class is known.

    Args:
        logits: float (N, F + K).
        members: bool (N, F + K).
        level: ``coarse`` leaves out the fine figures.
    """
    probability = np.exp(logits - logits.max(axis=1, keepdims=True))
    coarse = coarse_matrix(members.shape[1] - len(FINE))
    coarse_truth, coarse_found = (members @ coarse).argmax(axis=1), (probability @ coarse).argmax(axis=1)
    figures = {
        "coarse_accuracy": float(np.mean(coarse_truth == coarse_found)),
        "coarse_balanced_accuracy": _balanced(coarse_truth, coarse_found),
    }
    fine = members.sum(axis=1) == 1
    if level == "fine" and fine.any():
        fine_truth, fine_found = members[fine].argmax(axis=1), probability[fine].argmax(axis=1)
        figures["fine_accuracy"] = float(np.mean(fine_truth == fine_found))
        figures["fine_macro_f1"] = float(f1_score(fine_truth, fine_found, average="macro", zero_division=0))
    return figures


def _balanced(truth: NDArray[np.intp], found: NDArray[np.intp]) -> float:
    """Mean recall over the classes that the truth holds."""
    return float(np.mean([np.mean(found[truth == code] == code) for code in np.unique(truth)]))
