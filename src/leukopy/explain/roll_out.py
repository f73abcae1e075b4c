"""Attention roll-out (Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020) of a ViT of timm.

The attention of each layer, averaged over its heads, is mixed half and half with the identity (the residual
connection), and the layers are multiplied: how much of each patch reaches the token that is classified. It is the same
whatever the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leukopy.core.errors import SettingsError
from leukopy.explain.heat import Explainer, Heat, Pictures, to_heat
from leukopy.models import compiled_operators  # noqa: F401  (before timm)

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

_AT_ONCE = 8
"""Pictures of one pass."""


def roll_out(net: nn.Module) -> Explainer:
    """Heat maps of a network that holds a vision transformer, and takes uint8 (N, S, S, 3).

    Raises:
        SettingsError: it holds none.
    """
    transformer = find_transformer(net)
    if transformer is None:
        raise SettingsError("roll-out: this network has no attention. It fits vision transformers; use grad-cam here.")

    def explain(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:  # noqa: ARG001  (the same for each class)
        shares = [np.empty((0, *transformer.patch_embed.grid_size), np.float32)]
        for start in range(0, len(pictures), _AT_ONCE):
            layers = attention(net, transformer, pictures[start : start + _AT_ONCE])
            shares.append(_patches(transformer, rolled(layers)))
        return to_heat(np.concatenate(shares), pictures.shape[1])

    return explain


def find_transformer(net: nn.Module) -> VisionTransformer | None:
    """The vision transformer inside a network."""
    from timm.models.vision_transformer import VisionTransformer  # noqa: PLC0415  (seconds to import)

    return next((module for module in net.modules() if isinstance(module, VisionTransformer)), None)


def attention(net: nn.Module, transformer: VisionTransformer, pictures: Pictures) -> list[Tensor]:
    """The attention (N, heads, T, T) of each layer, the first one first."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    layers: list[Any] = [block.attn for block in transformer.blocks]
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


def _patches(transformer: VisionTransformer, flow: Tensor) -> NDArray[np.float32]:
    """The share of each patch (N, h, w) in what is classified: the class token, or the mean of the patches."""
    first = int(transformer.num_prefix_tokens)
    classified = flow[:, 0] if transformer.global_pool == "token" else flow[:, first:].mean(dim=1)
    shares: NDArray[np.float32] = classified[:, first:].numpy()
    return shares.reshape(-1, *transformer.patch_embed.grid_size)
