"""Age and lymphocyte count as a network reads them: standardised, and with a place for 'unknown'."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_COUNT = 0.01
"""10^9/L; lower counts are read as this one, for the logarithm."""


class Clinical(nn.Module):
    """Age in years and lymphocyte count in 10^9/L to four numbers: both standardised (the count as its logarithm), 0
    where unknown; and for both, 1 where unknown.

    In training a patient's numbers are sometimes taken for unknown, so that the network can answer without them.
    """

    size = 4
    mean: Tensor
    deviation: Tensor

    def __init__(self, dropout: float, gain: float = 1.0) -> None:
        """Start with mean 0 and deviation 1.

        Args:
            dropout: chance that a patient's numbers are taken for unknown in training.
            gain: factor of all four numbers.
        """
        super().__init__()
        self.dropout = dropout
        self.gain = gain
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("deviation", torch.ones(2))

    def standardise(self, clinical: Tensor) -> None:
        """Take mean and deviation from the training's patients, float (P, 2); not-a-number where unknown."""
        for column, values in enumerate(_on_scale(clinical).unbind(dim=-1)):
            known = values[~values.isnan()]
            if len(known):
                deviation = known.std(correction=0)
                self.mean[column] = known.mean()
                self.deviation[column] = torch.where(deviation > 1e-6, deviation, 1.0)

    def forward(self, clinical: Tensor) -> Tensor:
        """Float (2,), not-a-number where unknown, to (4,)."""
        known = ~clinical.isnan()
        if self.training and self.dropout:
            known = known & (torch.rand((), device=known.device) >= self.dropout)
        standardised = (_on_scale(clinical) - self.mean) / self.deviation
        return self.gain * torch.cat([torch.where(known, standardised, 0.0), (~known).float()])


def _on_scale(clinical: Tensor) -> Tensor:
    """Age as it is, the count's logarithm: counts are skewed."""
    age, count = clinical.unbind(dim=-1)
    return torch.stack([age, count.clamp_min(LEAST_COUNT).log()], dim=-1)
