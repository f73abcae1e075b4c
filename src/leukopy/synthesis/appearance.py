"""Appearance of a laboratory's pictures: stains, light, optics and camera.

Colours are mixed by absorption: the amounts of the dyes add up in optical density, and the picture is
background x 10^-density (Beer-Lambert law; Ruifrok & Johnston 2001 for its use on stained slides).
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.synthesis.texture import Plane, white

RGB = tuple[float, float, float]

STAINS = ("chromatin", "azurophil", "basophilia", "eosin", "acidophil", "haemoglobin")
"""Stained matter, in the order of the first axis of every stack of amounts."""


class Appearance(Settings):
    """One laboratory. The defaults imitate PBC Barcelona (May-Grünwald-Giemsa, CellaVision DM96).

    The first six fields are the optical density, in red, green and blue, of one unit of each stained matter.
    """

    chromatin: RGB = (0.54, 0.86, 0.19)
    """Nuclei: azure B and eosin Y on DNA, violet (the Romanowsky effect)."""
    azurophil: RGB = (0.36, 0.74, 0.16)
    """Azurophilic and basophilic granules, purple."""
    basophilia: RGB = (0.42, 0.43, 0.08)
    """RNA of the cytoplasm, blue."""
    eosin: RGB = (0.05, 0.17, 0.09)
    """Cytoplasm of neutrophils, pink."""
    acidophil: RGB = (0.13, 0.36, 0.25)
    """Granules of eosinophils, orange-red."""
    haemoglobin: RGB = (0.100, 0.149, 0.091)
    """Red cells where they are thickest."""
    background: RGB = (255.0, 229.0, 203.0)
    """Empty glass, 0-255, white balance included."""
    um_per_px: float = Field(default=0.0995, gt=0.01, le=1.0)
    """Micrometres per pixel of the camera: for fields, and for crops 360 pixels wide."""
    blur_um: float = Field(default=0.09, ge=0, le=2.0)
    """Standard deviation of the optical blur in good focus, in micrometres."""
    haze: float = Field(default=0.0, ge=0, lt=1)
    """Share of stray light, which lowers the contrast."""
    sharpening: float = Field(default=0.6, ge=0, le=3.0)
    """Strength of the camera's unsharp mask."""
    noise: float = Field(default=1.1, ge=0, le=30.0)
    """Standard deviation of the sensor's noise, in grey levels."""
    gradient: float = Field(default=0.01, ge=0, le=0.5)
    """Fall of the light from one side of the picture to the other, as a share."""
    pallor: float = Field(default=0.75, ge=0, le=1.0)
    """Pallor of the centre of the red cells; it depends on the place on the smear."""

    def stain_matrix(self) -> NDArray[np.float32]:
        """Optical density per unit amount, shape (6, 3): stains in the order of ``STAINS``, then R, G, B."""
        return np.array([getattr(self, name) for name in STAINS], dtype=np.float32)


SHARPENING_UM = 0.16
"""Standard deviation of the camera's unsharp mask, in micrometres."""

PBC_LIKE = Appearance()


def random_appearance(seed: int) -> Appearance:
    """A random laboratory: staining, light, camera and optics vary as much as between public data sets.

    The ranges cover PBC and CellaVision (cream glass, violet nuclei), Raabin (crimson nuclei, a phone camera), BCISC
    (green to cyan glass, brown red cells) and Chulalongkorn (blurred, hazy, strong colour casts).
    """
    rng = np.random.default_rng([seed, 7919])
    base = PBC_LIKE
    strength = rng.uniform(0.6, 1.15)
    camera = np.exp(rng.normal(0, 0.06, 3))  # one spectral response for all stains
    redness = rng.beta(1.5, 2)  # 0: blue-violet nuclei, 1: crimson ones
    hue = np.array([1.15 - 0.7 * redness, 1.0, 0.75 + 1.2 * redness])

    def stain(rgb: RGB, factor: float | NDArray[np.float64] = 1.0, jitter: float = 0.08) -> RGB:
        red, green, blue = np.array(rgb) * factor * strength * camera * np.exp(rng.normal(0, jitter, 3))
        return float(red), float(green), float(blue)

    cast = np.array([1.0, 0.93, 0.86]) * np.exp(rng.normal(0, 0.065, 3))
    glass = (255 - 110 * rng.beta(1, 1.6)) * cast / cast.max()
    poor_optics = rng.random() < 0.25
    return Appearance(
        chromatin=stain(base.chromatin, hue),
        azurophil=stain(base.azurophil, hue),
        basophilia=stain(base.basophilia),
        eosin=stain(base.eosin, jitter=0.2),
        acidophil=stain(base.acidophil, jitter=0.08),
        haemoglobin=stain(base.haemoglobin, rng.uniform(0.8, 2.0), jitter=0.2),
        background=(float(glass[0]), float(glass[1]), float(glass[2])),
        um_per_px=float(rng.uniform(0.065, 0.112)),
        blur_um=float(rng.uniform(0.2, 0.5) if poor_optics else rng.uniform(0.06, 0.2)),
        haze=float(rng.uniform(0, 0.35) if poor_optics else rng.uniform(0, 0.08)),
        sharpening=float(rng.uniform(0, 1.0)),
        noise=float(rng.uniform(0.5, 4.0)),
        gradient=float(0.3 * rng.beta(1, 3)),
        pallor=float(rng.uniform(0.2, 1.0)),
    )


def expose(amounts: Plane, appearance: Appearance, um_per_px: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph a smear.

    Args:
        amounts: stained matter, float32 (6, H, W), in the order of ``STAINS``.
        appearance: the laboratory.
        um_per_px: micrometres per pixel of ``amounts``.
        rng: focus, noise and the direction of the light.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = amounts.shape[1:]
    blur = appearance.blur_um * rng.uniform(0.8, 1.5) / um_per_px  # focus differs between pictures
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    columns = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    lamp = 1 - np.float32(appearance.gradient) * (0.5 + rows + columns)
    image = np.empty((height, width, 3), dtype=np.uint8)
    for channel, densities in enumerate(appearance.stain_matrix().T):
        density = sum(unit * amount for unit, amount in zip(densities, amounts, strict=True))
        light = scipy.ndimage.gaussian_filter(np.exp(np.float32(-np.log(10)) * density), blur)
        if appearance.sharpening:
            smooth = scipy.ndimage.gaussian_filter(light, SHARPENING_UM / um_per_px, truncate=2.5)
            light += np.float32(appearance.sharpening) * (light - smooth)
        light = np.float32(appearance.haze) + np.float32(1 - appearance.haze) * light
        light *= np.float32(appearance.background[channel]) * lamp
        light += np.float32(appearance.noise) * white((height, width), rng)
        image[..., channel] = np.clip(light + 0.5, 0, 255)
    return image
