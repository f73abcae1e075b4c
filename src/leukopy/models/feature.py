"""Contract of all backbones: a feature extractor and its neck."""

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
        self._stages = tuple(stages)  # a tuple: not registered twice

    def freeze(self, stages: int) -> None:
        """Freeze the first ``stages`` stages: no gradient, and constant statistics.

        Raises:
            TrainingError: there are fewer.
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
    """The neck that averages the feature map over its positions to the embedding."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
