"""Grad-CAM and Grad-CAM++ on the feature map of a network in torch, by the library pytorch-grad-cam (MIT)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leukopy.explain.heat import Explainer, Heat, Pictures
from leukopy.models.cell_net import CellNet

_AT_ONCE = 8
"""Pictures of one pass."""


class _Logits(nn.Module):
    """Network in the library's form: planes (N, 3, S, S) in, logits (N, F) out."""

    def __init__(self, net: CellNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes: Tensor) -> Tensor:
        logits: Tensor = self.net(planes.permute(0, 2, 3, 1)).logits
        return logits


def grad_cam(net: CellNet) -> Explainer:
    """Grad-CAM (Selvaraju et al., "Visual explanations via gradient-based localization", ICCV 2017)."""
    from pytorch_grad_cam import GradCAM  # noqa: PLC0415  (seconds to import; only those who use it pay)

    return _explainer(net, GradCAM)


def grad_cam_plus_plus(net: CellNet) -> Explainer:
    """Grad-CAM++ (Chattopadhay et al., "Generalized gradient-based visual explanations", WACV 2018)."""
    from pytorch_grad_cam import GradCAMPlusPlus  # noqa: PLC0415

    return _explainer(net, GradCAMPlusPlus)


def _explainer(net: CellNet, method: type) -> Explainer:
    """Heat maps on the backbone's feature map."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: PLC0415

    def explain(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:
        cam: Any = method(_Logits(net.eval()), [net.backbone.features])
        try:
            maps = [np.empty((0, *pictures.shape[1:3]), np.float32)]
            for start in range(0, len(pictures), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                planes = torch.from_numpy(pictures[part]).permute(0, 3, 1, 2).float()
                maps.append(cam(planes, [ClassifierOutputTarget(int(index)) for index in classes[part]]))
        finally:
            cam.activations_and_grads.release()
        return np.concatenate(maps)

    return explain
