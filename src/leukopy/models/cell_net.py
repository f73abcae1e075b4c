"""The classifier of cells: bytes in, fine logits out. Coarse probabilities are sums, so both levels always agree."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.taxonomy import FINE


class Outputs(NamedTuple):
    """Outputs of a bundle's graph, in this order."""

    logits: Tensor  # (N, F), in the order of taxonomy.FINE
    embedding: Tensor  # (N, D)
    feature_map: Tensor  # (N, K, h, w)


class CellNet(nn.Module):
    """A backbone and a linear head; the same module is trained and exported."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str, preprocess: Preprocess, *, pretrained: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = BACKBONES[backbone].build(preprocess.size, pretrained)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.backbone.embedding_size, len(FINE))
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocess.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Outputs:
        """uint8 (N, S, S, 3) to logits (N, F), embedding (N, D) and feature map (N, K, h, w)."""
        planes = images.permute(0, 3, 1, 2).float()
        feature_map, embedding = self.backbone((planes - self.mean) / self.std)
        return Outputs(self.head(self.dropout(embedding)), embedding, feature_map)
