"""Patients' models that are one formula: statistics of the cells, naive Bayes on two numbers, and both together.

They are fitted with scikit-learn and written here as networks, so that they are exported and served as all others.
"""

from __future__ import annotations

import math
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
    """Gaussian naive Bayes on age and the logarithm of the count: monotone in each, and bounded.

    A number outside ``held`` counts as the nearer end. So the log-odds never turn back where the wider of two Gaussians
    overtakes the other, and they are constant outside the range of the training. An unknown number adds nothing.
    """

    def __init__(
        self,
        prior: float,
        gaussians: tuple[NDArray[np.floating], NDArray[np.floating]],
        held: NDArray[np.floating],
        limits: tuple[float, float],
    ) -> None:
        """Take the fitted numbers.

        Args:
            prior: log-odds of tumoral before anything is known.
            gaussians: means and variances, each (2 classes, 2 numbers).
            held: least and greatest value at which each Gaussian is read, (2 ends, 2 numbers).
            limits: floor and ceiling of the log-odds.
        """
        super().__init__()
        mean, variance = gaussians
        self.prior = nn.Buffer(torch.tensor(prior, dtype=torch.float32))
        self.mean = nn.Buffer(torch.as_tensor(mean, dtype=torch.float32))
        self.variance = nn.Buffer(torch.as_tensor(variance, dtype=torch.float32))
        self.held = nn.Buffer(torch.as_tensor(held, dtype=torch.float32))
        self.limits = nn.Buffer(torch.tensor(limits, dtype=torch.float32))

    def bounds(self) -> tuple[float, float]:
        """Floor and ceiling of the log-odds: the least and the greatest that any age and count reach."""
        ages, counts = [[*self.held[:, column].tolist(), math.nan] for column in (0, 1)]
        extremes = [
            self(torch.zeros(1, 1), torch.tensor([age, math.exp(count)]))[0].item() for age in ages for count in counts
        ]
        return min(extremes), max(extremes)

    def forward(self, cells: Tensor, clinical: Tensor) -> BagOutput:
        """Clinical numbers, float (2,), of one patient to the answer."""
        numbers = torch.stack([clinical[0], torch.log(clinical[1])])
        unknown = torch.isnan(numbers)
        read = torch.where(unknown, self.mean[0], numbers)
        read = torch.minimum(torch.maximum(read, self.held[0]), self.held[1])
        density = -0.5 * (torch.log(self.variance) + (read - self.mean) ** 2 / self.variance)
        evidence = torch.where(unknown, torch.zeros_like(read), density[1] - density[0])
        answer = torch.minimum(torch.maximum(self.prior + evidence.sum(), self.limits[0]), self.limits[1])
        return BagOutput(answer, _uniform(cells))


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
