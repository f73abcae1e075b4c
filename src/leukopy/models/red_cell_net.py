"""A small convolutional network for pictures of single red cells.

Depthwise separable residual blocks (Howard et al., "MobileNets", arXiv:1704.04861, 2017) between two convolutions that
halve the picture; 80 thousand parameters, 7 million multiplications per cell.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from leukopy.taxonomy.red_cell_shapes import SHAPES

_GLASS = 240.0


class RedCellNet(nn.Module):
    """Logits of the shapes of red cells."""

    def __init__(self, *, width: int = 24, dropout: float = 0.2) -> None:
        """
        Args:
            width: channels after the first convolution; the next have twice and four times as many.
            dropout: share of the features that training leaves out.
        """
        super().__init__()
        self.features = nn.Sequential(
            *_halved(3, width),
            *_halved(width, 2 * width),
            _Separable(2 * width),
            _Separable(2 * width),
            *_halved(2 * width, 4 * width),
            _Separable(4 * width),
            _Separable(4 * width),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * width, len(SHAPES)))

    def forward(self, images: Tensor) -> Tensor:
        """Pictures, uint8 (N, S, S, 3), to logits (N, len(SHAPES))."""
        return self.logits(images.permute(0, 3, 1, 2).float())

    def logits(self, planes: Tensor) -> Tensor:
        """Planes (N, 3, S, S) of levels 0 to 255 to logits."""
        found: Tensor = self.head(self.embed(planes))
        return found

    def embed(self, planes: Tensor) -> Tensor:
        """Planes to features (N, D): the mean of the last map."""
        maps: Tensor = self.features((planes - _GLASS) / 64)
        return maps.mean((2, 3))


class Served(NamedTuple):
    """Outputs of the network that is exported."""

    logits: Tensor
    """(N, len(SHAPES))."""
    distance: Tensor
    """(N,): squared Mahalanobis distance of the features from the nearest shape of the training cells (Lee et al., "A
    simple unified framework for detecting out-of-distribution samples", NeurIPS 2018)."""


class ServedRedCellNet(nn.Module):
    """The network with the distance of a cell from those that it learnt from."""

    whitening: Tensor
    means: Tensor

    def __init__(self, net: RedCellNet, whitening: Tensor, means: Tensor) -> None:
        """
        Args:
            net: trained.
            whitening: (D, D), of the features within a shape.
            means: (K, D), whitened features of each shape.
        """
        super().__init__()
        self.net = net
        self.register_buffer("whitening", whitening)
        self.register_buffer("means", means)

    def forward(self, images: Tensor) -> Served:
        """Pictures, uint8 (N, S, S, 3), to logits and distances."""
        features = self.net.embed(images.permute(0, 3, 1, 2).float())
        apart = ((features @ self.whitening)[:, None] - self.means).square().sum(2)
        return Served(self.net.head(features), apart.amin(1))


class _Separable(nn.Module):
    """A residual block of a depthwise and a pointwise convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


def _halved(inner: int, outer: int) -> list[nn.Module]:
    return [nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
