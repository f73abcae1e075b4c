"""LeNet, the 2021 leukopy study's baseline (LeCun et al., "Gradient-based learning applied to document recognition",
Proc. IEEE 1998), for colour pictures of 256 px as in that study.

Two convolutions of 5 × 5 with max-pooling, then the dense layers of 120 and 84 units. ReLU replaces the original's
tanh. The study's report shows its layers only as a picture; the sizes here are those of 1998.
"""

from __future__ import annotations

from torch import Tensor, nn


class LeNet(nn.Module):
    """Convolutions only: ``forward`` returns the feature map; ``neck`` computes the 84-unit embedding from it."""

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        side = ((size - 4) // 2 - 4) // 2
        self.neck = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()
        )
        self.embedding_size = 84

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) to feature map (N, 16, side, side)."""
        features: Tensor = self.features(images)
        return features
