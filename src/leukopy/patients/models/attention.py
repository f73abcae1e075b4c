"""Attention pooling (Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML 2018).

The vector is the sum of a_k h_k over the cells h_k, where a is the softmax over the cells of w' tanh(V h_k), equation
8; gated: of w' (tanh(V h_k) * sigmoid(U h_k)), equation 9. No bias, as in the equations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leukopy.patients.models.contract import Pooled

UNITS = 64
"""Rows of V. The paper takes 128 for 28 px digits and 64 for its histology set."""


class AttentionPooling(nn.Module):
    """Equation 8, or with ``gated`` equation 9."""

    def __init__(self, size: int, *, gated: bool) -> None:
        super().__init__()
        self.size = size
        self.gated = gated
        # V, and below it U: one product instead of two.
        self.project = nn.Linear(size, 2 * UNITS if gated else UNITS, bias=False)
        self.score = nn.Linear(UNITS, 1, bias=False)

    def forward(self, cells: Tensor) -> Pooled:
        """Float (N, H) to a vector (H,) and the attention (N,)."""
        projected = self.project(cells)
        if self.gated:
            content, gate = projected.chunk(2, dim=1)
            units = torch.tanh(content) * torch.sigmoid(gate)
        else:
            units = torch.tanh(projected)
        weights = torch.softmax(self.score(units).squeeze(1), dim=0)
        return Pooled(weights @ cells, weights)
