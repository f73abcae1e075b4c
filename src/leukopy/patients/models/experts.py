"""A mixture of two experts (Sahasrabudhe et al., "Deep multi-instance learning using multi-modal data for diagnosis of
lymphocytosis", IEEE J. Biomedical and Health Informatics 2021; arXiv 2020).

One expert reads the cells, averaged; the other, a small network, the clinical numbers. A gate looks at both and says
how much to trust the cells: p = g p_cells + (1 - g) p_clinical.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from leukopy.core.errors import SettingsError
from leukopy.patients.models.clinical import Clinical
from leukopy.patients.models.contract import BagOutput, BagShape, Pooled, cross_entropy
from leukopy.patients.models.encoder import CellEncoder
from leukopy.patients.models.plain_pooling import MeanPooling

UNITS = 16
"""Of the clinical expert's hidden layer."""


class Experts(nn.Module):
    """The mixture, as one log-odds."""

    def __init__(self, shape: BagShape) -> None:
        super().__init__()
        if not shape.clinical:
            raise SettingsError("experts: one of the two reads the clinical numbers; set clinical to true.")
        self.encoder = CellEncoder(shape.features, shape.hidden, shape.dropout)
        self.pooling = MeanPooling(self.encoder.size)
        self.clinical = Clinical(shape.clinical_dropout, shape.clinical_gain)
        self.cell_expert = nn.Linear(self.pooling.size, 1)
        self.clinical_expert = nn.Sequential(nn.Linear(Clinical.size, UNITS), nn.ReLU(), nn.Linear(UNITS, 1))
        self.summary = nn.Linear(self.pooling.size, 1)
        self.gate = nn.Linear(1 + Clinical.size, 1)

    def standardise(self, clinical: Tensor) -> None:
        """As `PatientNet.standardise`."""
        self.clinical.standardise(clinical)

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Cells, float (N, D), and clinical numbers, float (2,), of one patient to the answer."""
        (mixture, _, _), pooled = self._opinions(cells, clinical)
        return BagOutput(mixture, pooled.weights)

    def loss(self, cells: Tensor, clinical: Tensor, label: Tensor) -> Tensor:
        """Mean of the cross-entropies of the mixture and of each expert, so that neither idles behind the other."""
        logits, _ = self._opinions(cells, clinical)
        return torch.stack([cross_entropy(logit, label) for logit in logits]).mean()

    def _opinions(self, cells: Tensor, clinical: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Pooled]:
        """Log-odds of the mixture, of the cells' expert and of the clinical one."""
        pooled = self.pooling(self.encoder(cells))
        numbers = self.clinical(clinical)
        by_cells, by_numbers = self.cell_expert(pooled.vector), self.clinical_expert(numbers)
        gate = self.gate(torch.cat([torch.tanh(self.summary(pooled.vector)), numbers]))
        trust = functional.logsigmoid(torch.cat([gate, -gate]))
        experts = torch.cat([by_cells, by_numbers])
        tumoral = torch.logsumexp(trust + functional.logsigmoid(experts), dim=0)
        reactive = torch.logsumexp(trust + functional.logsigmoid(-experts), dim=0)
        return (tumoral - reactive, experts[0], experts[1]), pooled
