"""Augmentation for smears: properties that vary between slides and laboratories within a class.

Geometry (a smear has no up or down), stain, light, focus and compression vary. Hue stays mild: red granules are the
cue of the eosinophil. Stain varies in optical density, where stains add (Beer-Lambert; Tellez et al.,
"Quantifying the effects of data augmentation and stain color normalization", Medical Image Analysis 2019).
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from pydantic import Field

from leukopy.core.settings import Settings

_LEVELS = np.arange(256, dtype=np.float32)
_DENSITY = -np.log((_LEVELS + 1.0) / 256.0)  # optical density of each 8-bit level


class Augmentation(Settings):
    """Range of each property. Zero switches it off."""

    mild: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that vary only within the defaults below; all others vary further, for unseen laboratories.
    The share preserves the details of the laboratory at hand."""
    rotate: bool = True
    """Any angle, and mirror images."""
    scale: tuple[float, float] = (0.8, 1.25)
    """Range of magnification."""
    shift: float = Field(default=0.06, ge=0, le=0.5)
    """Largest move of the centre, as a share of the side."""
    squeeze: float = Field(default=0.08, ge=0, le=0.5)
    """Largest change of the aspect ratio."""
    stain: float = Field(default=0.15, ge=0, le=1)
    """Deviation of each stain's strength, in optical density."""
    mix: float = Field(default=0.04, ge=0, le=0.3)
    """Deviation of the leak between colour channels, in optical density: a mild hue change."""
    light: float = Field(default=0.15, ge=0, le=1)
    """Deviation of the light's intensity."""
    cast: float = Field(default=0.05, ge=0, le=1)
    """Deviation of the light's colour, per channel."""
    veil: float = Field(default=0.0, ge=0, lt=1)
    """Largest share of the light that is stray light, even over the picture: half of the pictures lose contrast."""
    gamma: float = Field(default=0.15, ge=0, le=1)
    """Deviation of the logarithm of gamma."""
    blur: float = Field(default=0.2, ge=0, le=1)
    """Probability of a blur of up to ``blur_radius``."""
    blur_radius: float = Field(default=1.5, ge=0)
    """Pixels of the network's input."""
    noise: float = Field(default=4.0, ge=0)
    """Largest deviation of sensor noise, in grey levels."""
    jpeg: float = Field(default=0.3, ge=0, le=1)
    """Probability of one more JPEG compression, quality 40 to 95."""

    def __call__(
        self, picture: NDArray[np.uint8], size: int, crop: float, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Draw one variant.

        Args:
            picture: uint8 (H, H, 3), the whole square picture of a cell.
            size: side of the result, pixels.
            crop: share of the side that the result shows at magnification 1, as in ``Preprocess``.
            rng: source of chance; the same state gives the same variant.

        Returns:
            uint8 (size, size, 3).
        """
        if self.mild and rng.random() < self.mild:
            return Augmentation()(picture, size, crop, rng)
        image = self._warp(picture, size, crop, rng)
        if rng.random() < self.blur:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, max(0.2, self.blur_radius))))
        pixels = self._colour(np.asarray(image), rng)
        if self.noise:
            noise = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(0, self.noise)
            pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        if rng.random() < self.jpeg:
            pixels = _recompress(pixels, int(rng.integers(40, 96)))
        return pixels

    def _warp(self, picture: NDArray[np.uint8], size: int, crop: float, rng: np.random.Generator) -> Image.Image:
        """Rotate, mirror, scale, squeeze and shift in one resampling; the outside is mirrored, not black."""
        side = picture.shape[0]
        margin = side // 4
        angle = rng.uniform(0, 2 * np.pi) if self.rotate else 0.0
        mirror = -1.0 if self.rotate and rng.random() < 0.5 else 1.0
        zoom = np.exp(rng.uniform(*np.log(self.scale)))
        squeeze = np.exp(rng.uniform(-self.squeeze, self.squeeze))
        step = side * crop / size / zoom  # source pixels per result pixel
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag([mirror * squeeze, 1 / squeeze]) * step
        centre = margin + side / 2 + rng.uniform(-self.shift, self.shift, 2) * side
        offset = centre - matrix @ np.array([size / 2, size / 2])
        padded = Image.fromarray(np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric"))
        coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
        return padded.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)

    def _colour(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Vary stain in optical density, then light, its colour, and gamma."""
        gain = np.exp(rng.normal(0, self.stain) + rng.normal(0, self.stain / 3, 3))
        stain = np.diag(gain) + rng.normal(0, self.mix, (3, 3)) * (1 - np.eye(3))
        light = rng.normal(0, self.light) + rng.normal(0, self.cast, 3)  # a logarithm: added to -density
        gamma = np.exp(rng.normal(0, self.gamma))
        density = _DENSITY[pixels].reshape(-1, 3) @ (gamma * stain.T).astype(np.float32)
        levels = np.exp((gamma * np.clip(light, -0.9, 0.3)).astype(np.float32) - density) * 255
        if self.veil and rng.random() < 0.5:
            share = rng.uniform(0, self.veil)
            levels = (1 - share) * levels + share * levels.mean(axis=0)
        varied: NDArray[np.uint8] = np.minimum(levels, 255).astype(np.uint8).reshape(pixels.shape)
        return varied


def _recompress(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))
