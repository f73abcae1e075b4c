"""What every backbone is made of: a feature extractor and its neck, behind one contract."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from leukopy.core.errors import TrainingError


class Feature(nn.Module):
    """A feature extractor and its neck."""

    def __init__(
        self, features: nn.Module, neck: nn.Module, embedding_size: int, stages: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.features = features
        self.neck = neck
        self.embedding_size = embedding_size
        self._stages = tuple(stages)  # a tuple, so that they are not registered twice

    def freeze(self, stages: int) -> None:
        """Let the first ``stages`` stages learn no more: no gradient, and statistics as they are.

        Raises:
            TrainingError: there are not as many.
        """
        if stages > len(self._stages):
            raise TrainingError(f"frozen_stages: this backbone has {len(self._stages)} stages, not {stages}.")
        for stage in self._stages[:stages]:
            stage.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (N, 3, S, S) to feature map (N, K, h, w) and embedding (N, D)."""
        feature_map = self.features(images)
        return feature_map, self.neck(feature_map)


def average_pool() -> nn.Module:
    """The neck whose embedding is the mean of the feature map over its positions."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
