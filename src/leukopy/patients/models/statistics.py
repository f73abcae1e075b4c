"""Patients' models that are one formula: statistics of the cells, naive Bayes on two numbers, and both together.

They are fitted with scikit-learn and written here as networks, so that they are exported and served as all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from leukopy.patients.models.contract import BagOutput

Statistic = Literal["mean", "deviation"]


def bag_statistics(cells: Tensor, names: Sequence[Statistic]) -> Tensor:
    """Mean and standard deviation of each feature over the cells that have it.

    Args:
        cells: float (N, D); not-a-number where a cell has not the feature.
        names: which, in the order of the result.

    Returns:
        Float (len(names) * D,); not-a-number where no cell has the feature.
    """
    known = ~torch.isnan(cells)
    count = known.to(cells.dtype).sum(dim=0)
    filled = torch.where(known, cells, torch.zeros_like(cells))
    mean = filled.sum(dim=0) / count
    found = {"mean": mean}
    if "deviation" in names:
        away = torch.where(known, cells - mean, torch.zeros_like(cells))
        found["deviation"] = ((away**2).sum(dim=0) / count).sqrt()
    return torch.cat([found[name] for name in names])


class StatisticsNet(nn.Module):
    """Statistics of the cells, then a linear layer; reads no clinical number."""

    def __init__(self, names: Sequence[Statistic], usual: NDArray[np.floating], linear: NDArray[np.floating]) -> None:
        """Take the fitted numbers.

        Args:
            names: the statistics.
            usual: (S,), what stands for a statistic that a patient has not.
            linear: (S + 1,), weights and then the constant.
        """
        super().__init__()
        self.names = tuple(names)
        self.usual = nn.Buffer(torch.as_tensor(usual, dtype=torch.float32))
        self.weights = nn.Buffer(torch.as_tensor(linear[:-1], dtype=torch.float32))
        self.constant = nn.Buffer(torch.as_tensor(linear[-1], dtype=torch.float32))

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:  # noqa: ARG002
        """Cells, float (N, D), of one patient to the answer."""
        found = bag_statistics(cells, self.names)
        found = torch.where(torch.isnan(found), self.usual, found)
        return BagOutput((found * self.weights).sum() + self.constant, _uniform(cells))


class NaiveBayes(nn.Module):
    """Gaussian naive Bayes on age and the logarithm of the count; a number that is unknown says nothing."""

    def __init__(self, prior: float, mean: NDArray[np.floating], variance: NDArray[np.floating]) -> None:
        """Take the fitted numbers: log-odds of tumoral before anything is known; means and variances (2 classes, 2)."""
        super().__init__()
        self.prior = nn.Buffer(torch.tensor(prior, dtype=torch.float32))
        self.mean = nn.Buffer(torch.as_tensor(mean, dtype=torch.float32))
        self.variance = nn.Buffer(torch.as_tensor(variance, dtype=torch.float32))

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Clinical numbers, float (2,), of one patient to the answer."""
        numbers = torch.stack([clinical[0], torch.log(clinical[1])])
        density = -0.5 * (torch.log(self.variance) + (numbers - self.mean) ** 2 / self.variance)
        evidence = density[1] - density[0]
        evidence = torch.where(torch.isnan(evidence), torch.zeros_like(evidence), evidence)
        return BagOutput(self.prior + evidence.sum(), _uniform(cells))


class LinearClinical(nn.Module):
    """A linear layer on age and the logarithm of the count; the median stands for a number that is unknown."""

    def __init__(self, usual: NDArray[np.floating], linear: NDArray[np.floating]) -> None:
        super().__init__()
        self.usual = nn.Buffer(torch.as_tensor(usual, dtype=torch.float32))
        self.linear = nn.Buffer(torch.as_tensor(linear, dtype=torch.float32))

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Clinical numbers, float (2,), of one patient to the answer."""
        numbers = torch.stack([clinical[0], torch.log(clinical[1])])
        numbers = torch.where(torch.isnan(numbers), self.usual, numbers)
        return BagOutput((numbers * self.linear[:2]).sum() + self.linear[2], _uniform(cells))


class LateFusion(nn.Module):
    """The log-odds of a model of cells and of one of the clinical numbers, added: two kinds of evidence taken for
    independent, with the prior counted once."""

    def __init__(self, cells: nn.Module, clinical: nn.Module, prior: float) -> None:
        """Take two fitted models and the log-odds of tumoral in the training, which both hold."""
        super().__init__()
        self.of_cells, self.of_clinical = cells, clinical
        self.prior = nn.Buffer(torch.tensor(prior, dtype=torch.float32))

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Cells, float (N, D), and clinical numbers, float (2,), of one patient to the answer."""
        logit, weights = self.of_cells(cells, clinical)
        return BagOutput(logit + self.of_clinical(cells, clinical)[0] - self.prior, weights)


class SoftVoting(nn.Module):
    """The mean of the probabilities of a model of cells and of one of the clinical numbers."""

    def __init__(self, cells: nn.Module, clinical: nn.Module) -> None:
        super().__init__()
        self.of_cells, self.of_clinical = cells, clinical

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Cells, float (N, D), and clinical numbers, float (2,), of one patient to the answer."""
        logit, weights = self.of_cells(cells, clinical)
        other = self.of_clinical(cells, clinical)[0]
        yes = torch.logaddexp(functional.logsigmoid(logit), functional.logsigmoid(other))
        no = torch.logaddexp(functional.logsigmoid(-logit), functional.logsigmoid(-other))
        return BagOutput(yes - no, weights)


def _uniform(cells: Tensor) -> Tensor:
    """The same share for each cell."""
    ones = torch.ones_like(cells[:, 0])
    return ones / ones.sum()
