"""A teacher: a model whose answers a network learns beside the labels.

Knowledge distillation (Hinton et al., arXiv:1503.02531, 2015), with one view for both networks (Beyer et al., CVPR
2022): the teacher sees each augmented picture, and each mixture of two. Touvron et al. (DeiT, ICML 2021) found that
vision transformers need it on data sets far larger than those of blood cells.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import TrainingError
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.engine import Engine
from leukopy.training.settings import Distillation


class Teacher:
    """The teacher of a training."""

    def __init__(self, choice: Distillation, pupil: Preprocess) -> None:
        """Open its bundle.

        Args:
            choice: the bundle, and the weight of its answers.
            pupil: preprocessing of the pictures that it is shown.

        Raises:
            BundleError: the bundle cannot be opened.
            TrainingError: it normalises the light or the stain otherwise than the pupil.
        """
        self.choice = choice
        self.bundle: Bundle = open_bundle(choice.teacher)
        self._spec = self.bundle.card.preprocess
        if (self._spec.white_balance, self._spec.stain) != (pupil.white_balance, pupil.stain):
            raise TrainingError(
                f"{choice.teacher}: set white_balance and stain of preprocess as this teacher has them."
            )
        self._shown = self._spec.crop / pupil.crop
        self._engine = Engine(self.bundle.network)

    def view(self, images: Tensor) -> Tensor:
        """Pictures (N, S, S, 3) as the teacher sees them, uint8 (N, T, T, 3), cells as large as it knows them.

        Where it knows more of a cell's surroundings than the pupil, it sees the pupil's whole picture.
        """
        side = images.shape[1]
        kept = min(side, round(side * self._shown))
        first = (side - kept) // 2
        planes = images[:, first : first + kept, first : first + kept].permute(0, 3, 1, 2).float()
        size = self._spec.size
        seen = functional.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
        return seen.permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)

    def loss(self, images: Tensor, logits: Tensor) -> Tensor:
        """Mean divergence of the pupil's fine classes from the teacher's, both at ``temperature``.

        Args:
            images: (N, S, S, 3), as the pupil sees them before they are shrunk.
            logits: float (N, F or more): of the pupil; those behind the fine classes are not taught.
        """
        answers = self._engine.compute(self.view(images).cpu().contiguous().numpy())["logits"]
        taught = torch.from_numpy(answers).to(logits.device)
        heat = self.choice.temperature
        pupil = torch.log_softmax(logits[:, : taught.shape[1]].float() / heat, dim=1)
        return heat**2 * functional.kl_div(
            pupil, torch.log_softmax(taught / heat, dim=1), reduction="batchmean", log_target=True
        )
