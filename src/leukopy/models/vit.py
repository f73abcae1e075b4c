"""The vision transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021), from timm.

Its patch tokens, laid out as a picture, are the feature map; their mean is the embedding (as good as the class token:
Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022). It thus satisfies the contract of backbones.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from leukopy.core.errors import TrainingError
from leukopy.models.feature import Feature, average_pool
from leukopy.models.weights import create


class PatchFeatures(nn.Module):
    """A timm vision transformer's patch tokens as a feature map."""

    def __init__(self, net: Any, size: int) -> None:
        super().__init__()
        self.net = net
        self.size = size
        net.patch_embed.strict_img_size = False  # smaller pictures come in the small epochs

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S), S a multiple of the patch, to (N, C, S / patch, S / patch)."""
        net = self.net
        side = images.shape[-1] // net.patch_embed.patch_size[0]
        patches = net.patch_embed(images)
        tokens = torch.cat([net.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        tokens = net.norm_pre(net.pos_drop(tokens + self._position(images.shape[-1], side)))
        tokens = net.norm(net.blocks(tokens))[:, 1:]
        planes: Tensor = tokens.transpose(1, 2).unflatten(2, (side, side))
        return planes

    def _position(self, size: int, side: int) -> Tensor:
        if size == self.size:
            whole: Tensor = self.net.pos_embed
            return whole
        from timm.layers.pos_embed import resample_abs_pos_embed  # noqa: PLC0415

        resampled: Tensor = resample_abs_pos_embed(self.net.pos_embed, [side, side], num_prefix_tokens=1)
        return resampled


def _convolutional_stem(channels: int) -> nn.Sequential:
    """Four convolutions of stride 2 in place of patches of 16 px."""
    widths = [3, *(channels // part for part in (8, 4, 2, 1))]
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Conv2d(inner, outer, 3, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(channels, channels, 1))


def vit(name: str, patch: int, size: int, pretrained: bool, *, convolutional: bool = False) -> Feature:
    """A vision transformer for pictures of ``size`` pixels; stages are the patch embedding and each block.

    Args:
        name: of timm.
        patch: side of its patches, in pixels.
        size: of the pictures; others come in the small epochs.
        pretrained: load published weights.
        convolutional: a stem of convolutions in place of patches, which learns from fewer pictures (Xiao et al.,
            "Early convolutions help transformers see better", NeurIPS 2021); for patches of 16 px, from scratch.

    Raises:
        TrainingError: ``size`` is not a multiple of the patch, or a convolutional stem is to be pretrained; or as
            ``create``.
    """
    if size % patch:
        near = max(patch, round(size / patch) * patch)
        raise TrainingError(f"{name}: preprocess.size {size} is not a multiple of its patch of {patch} px; try {near}.")
    if convolutional and pretrained:
        raise TrainingError(f"{name}: with a convolutional stem it has no pretrained weights; set pretrained to false.")
    net = create(name, pretrained=pretrained, img_size=size)
    if convolutional:
        net.patch_embed.proj = _convolutional_stem(net.num_features)
    for block in net.blocks:
        # The fused backward pass takes as long as half the network on a CPU, for the few tokens of small pictures.
        block.attn.fused_attn = block.attn.fused_attn and torch.cuda.is_available()
    return Feature(PatchFeatures(net, size), average_pool(), net.num_features, [net.patch_embed, *net.blocks])
