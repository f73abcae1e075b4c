"""Pictures of cells to an answer for their patient: a backbone and a patient's network, learnt together.

The lymphocytosis study's own model is ``resnet18`` from scratch with the ``mean`` network and nothing between: the
embeddings are averaged, age and count are joined, one linear layer answers. It scaled pixels to 0..1 and no more: mean
0 and std 255 in `Preprocess`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leukopy.models.cell_net import CellNet
from leukopy.patients.models.contract import BagOutput
from leukopy.patients.models.experts import Experts
from leukopy.patients.models.patient_net import PatientNet

AT_ONCE = 64
"""Pictures of a run of the backbone outside training: a patient of 500 cells needs no more memory than one of 64."""


class ImagePatientNet(nn.Module):
    """A cell network, whose embeddings a patient's network pools; its classes of cells are not used."""

    def __init__(self, network: CellNet, bag: PatientNet | Experts, size: int, *, mixed: bool = False) -> None:
        """Join them.

        Args:
            network: makes the embeddings.
            bag: takes as many features as an embedding has.
            size: S, the side of the pictures in pixels.
            mixed: train the network of cells in bfloat16, where that is enough; answers are always in float32.
        """
        super().__init__()
        self.size = size
        self.mixed = mixed
        self.network = network
        self.network.head.requires_grad_(False)
        self.bag = bag

    @property
    def features(self) -> int:
        """D, the size of the embedding of a cell."""
        return self.network.backbone.embedding_size

    def standardise(self, clinical: Tensor) -> None:
        """As `PatientNet.standardise`."""
        self.bag.standardise(clinical)

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Pictures, uint8 (N, S, S, 3), and clinical numbers, float (2,), of one patient to the answer."""
        answer: BagOutput = self.bag(self.embed(cells), clinical)
        return answer

    def loss(self, cells: Tensor, clinical: Tensor, label: Tensor) -> Tensor:
        """As `PatientNet.loss`."""
        return self.bag.loss(self.embed(cells), clinical, label)

    def embed(self, cells: Tensor) -> Tensor:
        """Pictures, uint8 (N, S, S, 3), to float (N, D). In training, all at once: their norm is the patient's."""
        parts = (cells,) if self.training else torch.split(cells, AT_ONCE)
        with torch.autocast(cells.device.type, torch.bfloat16, enabled=self.mixed and self.training):
            embeddings = [self.network(part).embedding for part in parts]
        return torch.cat(embeddings).float()
