"""The small layer that every cell passes before the pooling."""

from __future__ import annotations

from torch import Tensor, nn


class CellEncoder(nn.Module):
    """Features of cells to a smaller layer; or, without ``hidden``, as they are."""

    def __init__(self, features: int, hidden: int | None, dropout: float) -> None:
        super().__init__()
        self.size = features if hidden is None else hidden
        layers: list[nn.Module] = [] if hidden is None else [nn.Linear(features, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))

    def take_raw(self, mean: Tensor, deviation: Tensor) -> None:
        """From now on, standardise the features first: it was fitted on features that came standardised.

        Args:
            mean: float (D,).
            deviation: float (D,), above 0.
        """
        self.layers.insert(0, Standardise(mean, deviation))

    def forward(self, cells: Tensor) -> Tensor:
        """Float (N, D) to (N, size)."""
        encoded: Tensor = self.layers(cells)
        return encoded


class Standardise(nn.Module):
    """Subtract a mean, divide by a deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, cells: Tensor) -> Tensor:
        """Float (N, D) to the same shape."""
        return (cells - self.mean) / self.deviation
