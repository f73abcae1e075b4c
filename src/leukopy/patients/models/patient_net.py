"""A patient's network: encode each cell, pool, join the clinical numbers, one linear layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from leukopy.patients.models.clam import SHARE, ClamInstances
from leukopy.patients.models.clinical import Clinical
from leukopy.patients.models.contract import BagOutput, BagShape, Pooled, Pooling, cross_entropy
from leukopy.patients.models.encoder import CellEncoder


class PatientNet(nn.Module):
    """The cells' pooled vector and the clinical numbers, concatenated, to the log-odds of tumoral."""

    def __init__(self, shape: BagShape, pooling: Callable[[int], Pooling], *, clustering: bool = False) -> None:
        super().__init__()
        self.encoder = CellEncoder(shape.features, shape.hidden, shape.dropout)
        self.pooling = pooling(self.encoder.size)
        self.clinical = Clinical(shape.clinical_dropout, shape.clinical_gain) if shape.clinical else None
        self.instances = ClamInstances(self.encoder.size) if clustering else None
        self.head = nn.Linear(self.pooling.size + (Clinical.size if shape.clinical else 0), 1)

    def standardise(self, clinical: Tensor) -> None:
        """Take mean and deviation from the clinical numbers of the training's patients, float (P, 2)."""
        if self.clinical is not None:
            self.clinical.standardise(clinical)

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Cells, float (N, D), and clinical numbers, float (2,), of one patient to the answer."""
        pooled = self.pooling(self.encoder(cells))
        return BagOutput(self._logit(pooled, clinical), pooled.weights)

    def loss(self, cells: Tensor, clinical: Tensor, label: Tensor) -> Tensor:
        """What training minimises for one patient, (): cross-entropy, with CLAM's clustering also that of cells."""
        encoded = self.encoder(cells)
        pooled = self.pooling(encoded)
        loss = cross_entropy(self._logit(pooled, clinical), label)
        if self.instances is None:
            return loss
        clustering: Tensor = self.instances(encoded, pooled.weights, label)
        return (1 - SHARE) * loss + SHARE * clustering

    def _logit(self, pooled: Pooled, clinical: Tensor) -> Tensor:
        joined = pooled.vector
        if self.clinical is not None:
            joined = torch.cat([joined, self.clinical(clinical)])
        logit: Tensor = self.head(joined).squeeze(0)
        return logit
