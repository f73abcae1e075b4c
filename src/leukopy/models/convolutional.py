"""The convolutional backbones of timm, cut before their classifier: feature map, then its mean as embedding."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from leukopy.models.feature import Feature, average_pool
from leukopy.models.weights import create, lite0_weights, load_by_position

GROUP = 8
"""Channels of a group: a divisor of every width of lite0. Wu & He find that group size matters little."""


class TimmFeatures(nn.Module):
    """A timm model's features."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S) to feature map (N, K, h, w)."""
        features: Tensor = self.net.forward_features(images)
        return features


def _pooled(net: Any, stages: list[nn.Module]) -> Feature:
    return Feature(TimmFeatures(net), average_pool(), net.num_features, stages)


def vgg(name: str, size: int, pretrained: bool) -> Feature:  # noqa: ARG001  (fully convolutional)
    """VGG's convolutions. A mean over positions replaces its two dense layers of 4,096, nine tenths of the weights.

    Stages end at the five max-poolings.
    """
    # Without pretrained weights the dense layers, discarded below, are built as small as possible.
    net = create(name, pretrained=True) if pretrained else create(name, mlp_ratio=1 / 4096)
    net.pre_logits = nn.Identity()
    pools = [index + 1 for index, layer in enumerate(net.features) if isinstance(layer, nn.MaxPool2d)]
    return _pooled(net, [net.features[a:b] for a, b in zip([0, *pools[:-1]], pools, strict=True)])


def efficientnet(name: str, size: int, pretrained: bool) -> Feature:  # noqa: ARG001
    """EfficientNet: stem and seven stages of inverted residual blocks."""
    net = create(name, pretrained=pretrained)
    return _pooled(net, _efficientnet_stages(net))


def _efficientnet_stages(net: Any) -> list[nn.Module]:
    return [nn.Sequential(net.conv_stem, net.bn1), *net.blocks]


def lite0(size: int, pretrained: bool) -> Feature:  # noqa: ARG001
    """EfficientNet-lite0, with the ImageNet weights of a package."""
    net = create("tf_efficientnet_lite0")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            # At the architecture's own .01 the running statistics lag in a short fine-tuning.
            module.momentum = 0.1
    if pretrained:
        load_by_position(net, lite0_weights())
    return _pooled(net, _efficientnet_stages(net))


def lite0_groupnorm(size: int, pretrained: bool) -> Feature:  # noqa: ARG001
    """EfficientNet-lite0 with GroupNorm for every BatchNorm: its statistics are independent of the laboratory.

    Pretrained, it keeps the convolutions and the scale and shift of each norm; fine-tuning must adapt the rest.
    """
    from timm.layers.norm_act import GroupNormAct  # noqa: PLC0415

    # timm's tf_efficientnet_lite0 takes no other norm; with its padding, efficientnet_lite0 is the same network.
    net = create("efficientnet_lite0", pad_type="same", norm_layer=partial(GroupNormAct, group_size=GROUP))
    if pretrained:
        batch_norm = create("tf_efficientnet_lite0")
        load_by_position(batch_norm, lite0_weights())
        weights = batch_norm.state_dict()
        net.load_state_dict({name: weights[name] for name in net.state_dict()})
    return _pooled(net, _efficientnet_stages(net))


def xception(name: str, size: int, pretrained: bool) -> Feature:  # noqa: ARG001
    """Xception: a stem and twelve blocks of depthwise separable convolutions."""
    net = create(name, pretrained=pretrained)
    stem = nn.Sequential(net.conv1, net.bn1, net.conv2, net.bn2)
    return _pooled(net, [stem, *(getattr(net, f"block{number}") for number in range(1, 13))])


def resnet(name: str, size: int, pretrained: bool) -> Feature:  # noqa: ARG001
    """ResNet: stem and four stages."""
    net = create(name, pretrained=pretrained)
    return _pooled(net, [nn.Sequential(net.conv1, net.bn1), net.layer1, net.layer2, net.layer3, net.layer4])
