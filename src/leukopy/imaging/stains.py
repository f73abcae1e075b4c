"""Stains in optical density: the amount of each dye in a pixel, and stain normalisation to another laboratory.

Light that passes two stains is weakened by both, so their optical densities add (Beer-Lambert law). Colour
deconvolution solves for the amounts (Ruifrok & Johnston, Anal Quant Cytol Histol 2001; Landini, Martinelli &
Piccinini, "Colour Deconvolution: stain unmixing in histological imaging", Bioinformatics 2021).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

import numpy as np
import skimage  # its parts load on first use: classifying does not wait for them
from numpy.typing import NDArray

from leukopy.core.errors import InputError
from leukopy.core.settings import Settings

Vector = tuple[float, float, float]
Picture = NDArray[np.uint8]

STAIN_NAMES = ("nuclear", "eosin", "residual")
"""Names of the three planes of ``deconvolve``."""

STAIN_VECTORS: dict[str, tuple[Vector, Vector]] = {
    "giemsa": ((0.834750233, 0.513556283, 0.196330403), (0.092789, 0.954111, 0.283111)),
    "mgg": ((0.510, 0.839, 0.191), (0.387, 0.845, 0.370)),
}
"""Optical density in red, green and blue of the nuclear stain (azure, methylene blue) and of eosin; unit length.

``giemsa``: "Giemsa" of Landini's Colour Deconvolution plug-in for ImageJ (methylene blue and eosin; Landini et al.
2021), the same as scikit-image's ``rgb_from_bex``. The plug-in has no vectors for May-Grünwald-Giemsa: ``mgg`` was
measured by its procedure for new stains (the mean optical density of regions of one stain) on 500 of PBC Barcelona's
training images: segmented nuclei for the first, the cytoplasm of eosinophils for the second.
"""

_LEVELS = np.arange(256)
_DENSITY = -np.log10((_LEVELS + 1.0) / 256.0)  # plus one: black has a finite density


def glass(picture: Picture) -> NDArray[np.float64]:
    """Colour of the empty glass, shape (3,), 0 to 255: the median of the brightest quarter of the pixels."""
    pixels = picture.reshape(-1, 3)
    brightness = pixels[:, 0].astype(np.uint16) + pixels[:, 1] + pixels[:, 2]
    bright = pixels[brightness >= _quantile(np.bincount(brightness), 0.75)]
    return np.array([_quantile(np.bincount(levels), 0.5) for levels in np.ascontiguousarray(bright.T)])


def _quantile(counts: NDArray[np.intp], share: float) -> float:
    """A quantile of integers of which there are so many of 0, 1, 2 …, as `numpy.quantile` gives it."""
    below = np.cumsum(counts)
    place = share * (below[-1] - 1)
    lower, upper = np.searchsorted(below, [np.floor(place), np.ceil(place)], side="right")
    return float(lower + (upper - lower) * (place % 1))


def density_against_glass(picture: Picture) -> NDArray[np.float32]:
    """Optical density (decadic) above the empty glass, float32 (H, W, 3): a colour cast cancels out.

    The glass is the brightest quarter of the picture; brighter pixels have a density below 0.
    """
    against = (_DENSITY + np.log10((glass(picture) + 1) / 256)[:, None]).astype(np.float32)  # (3, 256)
    return np.stack([np.take(against[channel], picture[..., channel]) for channel in range(3)], axis=-1)


def deconvolve(picture: Picture, stains: Literal["giemsa", "mgg"] = "mgg") -> NDArray[np.float32]:
    """Separate a picture into its stains.

    The plug-in requires a neutral background, so the picture is first divided by the colour of its glass.

    Args:
        picture: uint8 (H, W, 3), RGB.
        stains: a key of ``STAIN_VECTORS``.

    Returns:
        float32 (H, W, 3), amounts of ``STAIN_NAMES``, 0 or more, in units of optical density (decadic logarithm).
    """
    nuclear, eosin = (np.array(vector) / np.linalg.norm(vector) for vector in STAIN_VECTORS[stains])
    residual = np.cross(nuclear, eosin)
    matrix = np.linalg.inv([nuclear, eosin, residual / np.linalg.norm(residual)])
    table = np.maximum(-np.log10((_LEVELS + 1.0) / (glass(picture)[:, None] + 1.0)), 0).astype(np.float32)  # (3, 256)
    density = np.stack([np.take(table[channel], picture[..., channel]) for channel in range(3)], axis=-1)
    amounts: NDArray[np.float32] = np.maximum(density @ matrix.astype(np.float32), 0)
    return amounts


class Reinhard(Settings):
    """The colours of a laboratory: their mean and deviation in CIELAB.

    Reinhard, Ashikhmin, Gooch & Shirley, "Color transfer between images", IEEE Computer Graphics and Applications
    2001; CIELAB in place of their l-alpha-beta.
    """

    mean: Vector
    """L, a, b of the target."""
    deviation: Vector
    """Standard deviation of L, a, b of the target."""

    @classmethod
    def fit(cls, pictures: Iterable[Picture]) -> Self:
        """Fit mean and deviation of ``pictures`` (uint8, (H, W, 3)), each with the same weight.

        Raises:
            InputError: no picture is given.
        """
        moments = []
        for picture in pictures:
            lab = skimage.color.rgb2lab(picture).reshape(-1, 3)
            moments.append((lab.mean(axis=0), (lab**2).mean(axis=0)))
        if not moments:
            raise InputError("no picture to fit the colours to. Give at least one.")
        mean, square = np.mean(moments, axis=0)
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        return cls(mean=_vector(mean), deviation=_vector(deviation))

    def __call__(self, picture: Picture) -> Picture:
        """``picture`` with the target's mean and deviation; a picture without contrast is returned unchanged."""
        lab = skimage.color.rgb2lab(picture)
        mean, deviation = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
        if np.any(deviation < 1e-3):
            return picture.copy()
        moved = (lab - mean) / deviation * self.deviation + self.mean
        lightness = np.clip(moved[..., 0], 0, 100)
        # Beyond this b, the colour would have a negative Z.
        blue = np.minimum(moved[..., 2], 200 / 116 * (lightness + 16))
        return _levels(skimage.color.lab2rgb(np.stack([lightness, moved[..., 1], blue], axis=-1)) * 255)


class Macenko(Settings):
    """The stains of a laboratory: the colours of two stains and their strength.

    Macenko et al., "A method for normalizing histology slides for quantitative analysis", ISBI 2009.
    """

    stains: tuple[Vector, Vector]
    """Optical density in red, green and blue of the stain that absorbs more red, then of the other."""
    strength: tuple[float, float]
    """99th percentile of the amount of each."""

    @classmethod
    def fit(cls, pictures: Iterable[Picture]) -> Self:
        """Fit the stains of ``pictures`` (uint8, (H, W, 3)), to some 4,096 pixels of each.

        Raises:
            InputError: no picture is given, or none is stained in two colours.
        """
        samples = [picture.reshape(-1, 3)[:: max(1, picture.size // 3 // 4096)] for picture in pictures]
        look = _macenko(_DENSITY[np.concatenate(samples)]) if samples else None
        if look is None:
            raise InputError("no stained picture to fit the stains to. Give stained cells.")
        stains, strength = look
        return cls(stains=(_vector(stains[0]), _vector(stains[1])), strength=(float(strength[0]), float(strength[1])))

    def __call__(self, picture: Picture) -> Picture:
        """``picture`` with the target's stains in the target's strength; unchanged where it lacks two stains."""
        density = _DENSITY[picture].reshape(-1, 3)
        look = _macenko(density)
        if look is None:
            return picture.copy()
        stains, strength = look
        amounts = density @ np.linalg.pinv(stains) * (np.array(self.strength) / strength)
        levels = 256 * 10 ** -(amounts @ np.array(self.stains)) - 1
        return _levels(levels.reshape(picture.shape))


def _macenko(
    density: NDArray[np.float64], transparent: float = 0.15, tail: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The two stains (2, 3) and their 99th percentiles (2,) of optical densities (n, 3); None without two stains.

    The names and values of the arguments are the paper's beta (0.15) and alpha (1 %).
    """
    stained = density[(density >= transparent).all(axis=1)]
    if len(stained) < 3:
        return None
    # The right singular vectors of the densities are the eigenvectors of this, in ascending order.
    values, vectors = np.linalg.eigh(stained.T @ stained)
    if values[1] < 1e-6 * values[2]:
        return None
    plane = vectors[:, [2, 1]] * np.sign(vectors[:, [2, 1]].sum(axis=0))
    flat = stained @ plane
    angles = np.percentile(np.arctan2(flat[:, 1], flat[:, 0]), [tail, 100 - tail])
    stains = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T
    if abs(angles[1] - angles[0]) < 1e-3:
        return None
    stains = stains[np.argsort(-stains[:, 0])]
    strength = np.percentile(density @ np.linalg.pinv(stains), 99, axis=0)
    return (stains, strength) if (strength > 1e-3).all() else None


def _vector(values: NDArray[np.float64]) -> Vector:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _levels(values: NDArray[np.float64]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
