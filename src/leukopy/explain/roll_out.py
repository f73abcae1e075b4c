"""Attention roll-out (Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020) of a ViT of timm.

The attention of each layer, averaged over its heads, is mixed half and half with the identity (the residual
connection), and the layers are multiplied: how much of each patch reaches what is classified. It is the same whatever
the class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leukopy.core.errors import SettingsError
from leukopy.explain.heat import Explainer, Heat, Pictures, to_heat
from leukopy.models.cell_net import CellNet
from leukopy.models.vit import PatchFeatures

_AT_ONCE = 8
"""Pictures of one pass."""


def roll_out(net: CellNet) -> Explainer:
    """Heat maps of a network whose backbone is a vision transformer.

    Raises:
        SettingsError: it is none.
    """
    features = net.backbone.features
    if not isinstance(features, PatchFeatures):
        raise SettingsError("roll-out: this network has no attention. It fits vision transformers; use grad-cam here.")
    transformer = features.net

    def explain(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:  # noqa: ARG001  (the same for each class)
        grid = transformer.patch_embed.grid_size
        shares = [np.empty((0, *grid), np.float32)]
        for start in range(0, len(pictures), _AT_ONCE):
            flow = rolled(attention(net, transformer, pictures[start : start + _AT_ONCE]))
            patches = slice(transformer.num_prefix_tokens, None)
            # What is classified is the mean of the last patches: hence the mean of their shares in the first ones.
            shares.append(flow[:, patches, patches].mean(dim=1).numpy().reshape(-1, *grid))
        return to_heat(np.concatenate(shares), pictures.shape[1])

    return explain


def attention(net: CellNet, transformer: Any, pictures: Pictures) -> list[Tensor]:
    """The attention (N, heads, T, T) of each layer, the first one first."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    layers = [block.attn for block in transformer.blocks]
    fused = [layer.fused_attn for layer in layers]
    hooks = [layer.attn_drop.register_forward_hook(keep) for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False  # the fused kernel never shows its attention
        with torch.inference_mode():
            net.eval()(torch.from_numpy(pictures))
    finally:
        for layer, before, hook in zip(layers, fused, hooks, strict=True):
            layer.fused_attn = before
            hook.remove()
    return found


def rolled(layers: list[Tensor]) -> Tensor:
    """Attention (N, heads, T, T) of each layer to the share (N, T, T) of each first token in each last one."""
    mixed = [(layer.mean(dim=1) + torch.eye(layer.shape[-1])) / 2 for layer in layers]
    flow = mixed[0]
    for layer in mixed[1:]:
        flow = layer @ flow
    return flow
