"""What every network of patients takes and gives; one patient a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor
from torch.nn import functional


class BagOutput(NamedTuple):
    """The answer for one patient with N cells."""

    logit: Tensor
    """Float (), the log-odds of tumoral."""
    weights: Tensor
    """Float (N,), the share each cell has in the pooling: none below 0, summing to 1."""


class Pooled(NamedTuple):
    """N cells brought to one vector."""

    vector: Tensor
    """Float (size,)."""
    weights: Tensor
    """Float (N,), as `BagOutput.weights`."""


class Pooling(Protocol):
    """A module that brings encoded cells, float (N, H), to one vector, whatever their order and number."""

    size: int
    """Of the vector."""

    def __call__(self, cells: Tensor) -> Pooled:
        """Pool the cells."""


@dataclass(frozen=True)
class BagShape:
    """The sizes of a network."""

    features: int
    """D, of a cell."""
    hidden: int | None = 64
    """Units of the layer that encodes each cell; None: features go straight into the pooling."""
    dropout: float = 0.0
    """Share of the encoded features that are zeroed in training."""
    clinical: bool = True
    """Whether age and lymphocyte count are read; False: the cells alone."""
    clinical_dropout: float = 0.1
    """Chance that a patient's clinical numbers are taken for unknown while it trains."""
    clinical_gain: float = 1.0
    """Factor of the standardised clinical numbers: above 1, they are learnt faster than the many features."""


def cross_entropy(logit: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy () of a logit () and a label () of 0 or 1; torch's own takes twice the time for scalars."""
    return functional.softplus(logit) - label * logit
