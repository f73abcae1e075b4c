"""CLAM's instance-level clustering (Lu et al., "Data-efficient and weakly supervised computational pathology on
whole-slide images", Nature Biomedical Engineering 2021), for one attention branch and two classes that exclude each
other.

For each class, a linear layer tells cells that speak for the class from those that do not. It learns from the cells
that the attention ranks first and last: of the patient's own class, the first are evidence and the last are not; of
the other class, the first are not evidence either.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELLS = 8
"""Cells taken at each end of the ranking, B in the paper; less where the patient has fewer than twice as many."""
SHARE = 0.3
"""Of the loss; the rest is the patient's cross-entropy (c1 = .7 and c2 = .3 in the paper)."""


class ClamInstances(nn.Module):
    """The clustering layers, one for each class, and their loss."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, 2) for _ in range(2))

    def forward(self, cells: Tensor, weights: Tensor, label: Tensor) -> Tensor:
        """Mean over the classes of the smooth top-1 SVM loss (Berrada et al., ICLR 2018; margin and temperature 1).

        Args:
            cells: float (N, H), encoded.
            weights: float (N,), their attention.
            label: float (), 0 or 1.

        Returns:
            Float (); 0 for a single cell, which cannot be first and last.
        """
        taken = min(CELLS, len(cells) // 2)
        if not taken:
            return cells.new_zeros(())
        order = weights.detach().argsort(descending=True)
        first, last = cells[order[:taken]], cells[order[-taken:]]
        own, other = self.layers[int(label)], self.layers[1 - int(label)]
        evidence = _contrast(own, torch.cat([first, last]))
        evidence = torch.cat([evidence[:taken], -evidence[taken:]])
        against = -_contrast(other, first)
        return (functional.softplus(1 - evidence).mean() + functional.softplus(1 - against).mean()) / 2


def _contrast(layer: nn.Module, cells: Tensor) -> Tensor:
    """Float (N,): by how much the score of evidence is above that of none. The SVM loss of two classes is
    log(1 + exp(1 - contrast)) where evidence is right."""
    none, evidence = layer(cells).unbind(dim=1)
    contrast: Tensor = evidence - none
    return contrast
