"""An anchor-free detector of cells on fields of view.

Centres are peaks of one heat map per kind (Zhou et al., "Objects as points", arXiv:1904.07850, 2019); every cell of the
map near a centre gives the distances to the four sides of the box (Tian et al., "FCOS", ICCV 2019); a score of the
predicted overlap weighs the peak (Wu et al., "IoU-aware single-stage object detector", arXiv:1912.05992, 2019). One
feature pyramid of three levels (Lin et al., CVPR 2017) ends at a quarter of the input's resolution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from leukopy.models import compiled_operators  # noqa: F401  (before timm)
from leukopy.models.backbones import LITE_MEAN, LITE_STD
from leukopy.models.weights import create, lite0_weights, load_by_position
from leukopy.taxonomy.objects import OBJECTS

STRIDE = 4
"""Pixels of the input per cell of the maps."""
MULTIPLE = 16
"""Height and width of the input are multiples of this."""

_LEVELS = {1: 24, 2: 40, 4: 112}
"""Blocks of EfficientNet-lite0 that feed the pyramid, at strides 4, 8 and 16 -> channels."""
_PRIOR = -4.6
"""Logit of a probability of .01: nearly every cell of a heat map shows no centre."""


class Maps(NamedTuple):
    """Raw maps of N pictures, at a quarter of their height and width; K is ``len(OBJECTS)``."""

    heat: Tensor
    """(N, K, h, w): logits of a centre."""
    sides: Tensor
    """(N, K, 4, h, w): distances in pixels from the cell's middle to left, top, right and bottom, positive."""
    quality: Tensor
    """(N, K, h, w): logits of the overlap (IoU) of the predicted box with the true one."""


class FieldNet(nn.Module):
    """EfficientNet-lite0 cut at stride 16, a light pyramid to stride 4, and three heads."""

    mean: Tensor
    std: Tensor

    def __init__(self, *, width: int = 64, pretrained: bool = True) -> None:
        super().__init__()
        net = create("tf_efficientnet_lite0")
        if pretrained:
            load_by_position(net, lite0_weights())
        self.stem = nn.Sequential(net.conv_stem, net.bn1)
        self.blocks = nn.ModuleList(net.blocks[: max(_LEVELS) + 1])
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # running statistics lag in short fine-tunings at the published 0.01
        pad_explicitly(self)
        self.lateral = nn.ModuleList(_norm(nn.Conv2d(inner, width, 1, bias=False)) for inner in _LEVELS.values())
        self.middle = _separable(width, width)
        self.last = nn.Sequential(
            _norm(nn.Conv2d(width, width, 3, padding=1, bias=False)), nn.ReLU6(), *_separable(width, 2 * width)
        )
        kinds = len(OBJECTS)
        self.head = nn.Conv2d(2 * width, kinds * 6, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        # softplus(1.2) * 8: half of a red cell
        self.head.bias = nn.Parameter(torch.tensor([_PRIOR] * kinds + [1.2] * 4 * kinds + [0.0] * kinds))
        self.register_buffer("mean", torch.tensor(LITE_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(LITE_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Maps:
        """Maps of RGB pictures, uint8 (N, H, W, 3), whose sides are multiples of ``MULTIPLE``."""
        planes = images.permute(0, 3, 1, 2).float()
        x = functional.relu6(self.stem((planes - self.mean) / self.std))
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _LEVELS:
                levels.append(x)
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.lateral, levels, strict=True))
        middle = self.middle(functional.relu6(middle + _double(coarse)))
        maps = self.head(self.last(functional.relu6(fine + _double(middle))))
        kinds = len(OBJECTS)
        heat, sides, quality = maps.split((kinds, 4 * kinds, kinds), dim=1)
        sides = 8 * functional.softplus(sides).unflatten(1, (kinds, 4))  # type: ignore[no-untyped-call]
        return Maps(heat, sides, quality)


class Peaks(NamedTuple):
    """What a bundle's network gives for N pictures, at a quarter of their height and width."""

    scores: Tensor
    """(N, K, h, w): 0 to 1 where a centre is likelier than in the 8 cells around it, else 0."""
    sides: Tensor
    """(N, K, 4, h, w): as in ``Maps``."""


class ServedNet(nn.Module):
    """The network with its peaks found, as exported."""

    def __init__(self, net: FieldNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Peaks:
        """Peaks of RGB pictures, uint8 (N, H, W, 3), whose sides are multiples of ``MULTIPLE``."""
        maps = self.net(images)
        scores = self.scores(maps)
        highest = functional.max_pool2d(scores, 3, stride=1, padding=1)
        return Peaks(torch.where(scores == highest, scores, torch.zeros_like(scores)), maps.sides)

    @staticmethod
    def scores(maps: Maps) -> Tensor:
        """Scores of all cells of the maps, (N, K, h, w): the geometric mean of centre and overlap, 0 to 1."""
        return torch.sqrt(torch.sigmoid(maps.heat) * torch.sigmoid(maps.quality))


def pad_explicitly(net: nn.Module) -> None:
    """Replace TensorFlow's padding, which depends on the size of the input, by that of even inputs."""
    for name, child in net.named_children():
        if type(child).__name__ == "Conv2dSame":
            conv: Any = child
            total = max(conv.kernel_size[0] - conv.stride[0], 0)
            plain = nn.Conv2d(
                conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, groups=conv.groups, bias=False
            )
            plain.weight = conv.weight
            before, after = total // 2, total - total // 2
            setattr(net, name, nn.Sequential(nn.ZeroPad2d((before, after, before, after)), plain))
        else:
            pad_explicitly(child)


def _double(planes: Tensor) -> Tensor:
    return functional.interpolate(planes, scale_factor=2.0, mode="nearest")


def _norm(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, eps=1e-3))


def _separable(inner: int, outer: int) -> nn.Sequential:
    """A depthwise 3 x 3 and a pointwise convolution."""
    return nn.Sequential(
        _norm(nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)),
        nn.ReLU6(),
        _norm(nn.Conv2d(inner, outer, 1, bias=False)),
        nn.ReLU6(),
    )
