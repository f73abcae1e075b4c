"""Random changes of a tile's colour, light, focus and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.training.detector.settings import FieldAugmentation

Tile = NDArray[np.uint8]


def change(tile: Tile, other: Tile, how: FieldAugmentation, rng: np.random.Generator) -> Tile:
    """A changed copy of a tile (height, width, 3); ``other`` lends its stain."""
    values = tile.astype(np.float32)
    if rng.random() < how.stain:
        values = _restain(values, other.astype(np.float32), rng.uniform(0.4, 1))
    if rng.random() < 0.4:
        grey = values.mean(axis=2, keepdims=True)
        values = grey + (values - grey) * rng.uniform(1 - how.fade, 1)
    if rng.random() < 0.4:
        mean = values.mean(axis=(0, 1))
        values = mean + (values - mean) * rng.uniform(1 - how.haze, 1)
    values = 255 * (values / 255).clip(0, 1) ** np.exp(rng.normal(0, 2 * how.gain))
    values *= np.exp(rng.normal(0, how.gain, 3))
    if rng.random() < 0.5:
        values *= _light(tile.shape[0], tile.shape[1], how.light, rng)
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if rng.random() < how.sharpen:
        picture = picture.filter(ImageFilter.UnsharpMask(rng.uniform(1, 4), int(rng.uniform(80, 300)), 0))
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, how.blur)))
    values = np.asarray(picture, np.float32)
    if rng.random() < 0.5:
        values = values + rng.normal(0, rng.uniform(0, how.noise), tile.shape).astype(np.float32)
    return values.clip(0, 255).astype(np.uint8)


def _restain(values: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Move the mean and deviation of each channel's optical density towards ``other``'s (after Reinhard et al., IEEE
    Computer Graphics and Applications 21, 34-41, 2001)."""
    density = -np.log((values + 1) / 256)
    some, wanted = density[::3, ::3], -np.log((other[::3, ::3] + 1) / 256)
    mean, target = some.mean((0, 1)), wanted.mean((0, 1))
    factor = (wanted.std((0, 1)) / (some.std((0, 1)) + 1e-3)).clip(0.5, 2)
    moved = (density - mean) * factor + target
    return np.asarray(256 * np.exp(-(density + share * (moved - density))) - 1, np.float32)


def _light(height: int, width: int, fall: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A gradient of light in a random direction, (height, width, 3), partly different in each channel."""
    angle = rng.uniform(0, 2 * np.pi)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ramp = (np.cos(angle) * (across - 0.5) + np.sin(angle) * (down - 0.5))[..., None]
    return np.asarray(1 + ramp * (rng.uniform(0, fall) + rng.uniform(-fall / 2, fall / 2, 3)), np.float32)
