"""Score-CAM (Wang et al., "Score-CAM: score-weighted visual explanations for convolutional neural networks",
CVPR workshops 2020).

Each channel of the last feature map, enlarged, is laid over the picture as a mask; the network's score for
the class under the mask is the channel's weight. The method needs no gradient, so bundles are explained without torch.
Steps and maps equal those of pytorch-grad-cam.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.explain.heat import Explainer, Heat, Pictures, to_heat
from leukopy.inference import activations

_AT_ONCE = 64
"""Masked pictures held in memory."""


def score_cam(bundle: Bundle) -> Explainer:
    """Score-CAM of a bundle whose feature map (N, K, h, w) has at least 2 × 2 positions.

    The network runs once for each channel that is not zero everywhere: some seconds for each picture.
    """

    def explain(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:
        maps = activations(bundle, pictures, ["feature_map"])["feature_map"]
        evidence = [
            _evidence(bundle, picture, channels, int(index))
            for picture, channels, index in zip(pictures, maps, classes, strict=True)
        ]
        return to_heat(np.reshape(evidence, (len(pictures), *maps.shape[2:])), pictures.shape[1])

    return explain


def _evidence(bundle: Bundle, picture: NDArray[np.uint8], channels: NDArray[np.float32], index: int) -> Heat:
    """Channels (C, h, w) averaged, each weighted with the class score under its mask; (h, w)."""
    channels = channels[np.abs(channels).max(axis=(1, 2)) > 0]
    scores = [
        activations(bundle, masked, ["logits"])["logits"][:, index]
        for masked in _masked(picture, channels, np.asarray(bundle.card.preprocess.mean, np.float32))
    ]
    if not scores:
        return np.zeros(channels.shape[1:], np.float32)
    powers = np.exp(np.concatenate(scores) - max(score.max() for score in scores))
    evidence: Heat = np.tensordot(powers / powers.sum(), channels, axes=1).astype(np.float32)
    return evidence


def _masked(picture: NDArray[np.uint8], channels: NDArray[np.float32], mean: NDArray[np.float32]) -> Iterator[Pictures]:
    """The picture under the mask of each channel, (M, S, S, 3) at a time; masked pixels are the network's zero."""
    across, down = (_enlarging(length, len(picture)) for length in (channels.shape[2], channels.shape[1]))
    for start in range(0, len(channels), _AT_ONCE):
        masks = down @ channels[start : start + _AT_ONCE] @ across.T
        low, high = masks.min(axis=(1, 2), keepdims=True), masks.max(axis=(1, 2), keepdims=True)
        masks = (masks - low) / (high - low + 1e-8)
        yield np.rint(mean + masks[..., None] * (picture - mean)).astype(np.uint8)


def _enlarging(length: int, side: int) -> NDArray[np.float32]:
    """Matrix (side, length) of linear interpolation, first on first and last on last."""
    places = np.linspace(0, length - 1, side)
    matrix = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(length)))
    return np.asarray(matrix, np.float32)
