"""Pooling without parameters: the mean, and the maximum, over cells (Wang et al., "Revisiting multiple instance neural
networks", Pattern Recognition 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leukopy.patients.models.contract import Pooled


class MeanPooling(nn.Module):
    """The mean of each feature over the cells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, cells: Tensor) -> Pooled:
        """Float (N, H) to a vector (H,); all cells weigh the same."""
        return Pooled(cells.mean(dim=0), torch.ones_like(cells[:, 0]) / cells.shape[0])


class MaxPooling(nn.Module):
    """The greatest value of each feature over the cells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, cells: Tensor) -> Pooled:
        """Float (N, H) to a vector (H,); a cell weighs the share of features whose maximum is its own."""
        vector = cells.amax(dim=0)
        wins = (cells == vector).float()
        return Pooled(vector, (wins / wins.sum(dim=0)).mean(dim=1))  # cells that tie share
