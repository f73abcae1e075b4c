"""Photographs of fields: focus, refraction, light and compression."""

from __future__ import annotations

import io

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

from leukopy.synthesis.appearance import SHARPENING_UM, Appearance
from leukopy.synthesis.scene import Scene
from leukopy.synthesis.texture import Plane, white

_RIM_UM = 0.22
"""Width of the rims by refraction, in micrometres."""

_FRINGE = np.array([1.0, 0.0, -1.0])


def photograph(
    amounts: Plane, appearance: Appearance, scene: Scene, um_per_px: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Photograph a field.

    A cell slightly out of focus has bright or dark rims, since its refractive index differs from the medium's: the
    intensity changes by the Laplacian of the optical thickness (transport of intensity; Teague 1983).

    Args:
        amounts: stained matter, float32 (6, H, W), in the order of ``STAINS``.
        appearance: the laboratory.
        scene: focus, rims, light and compression.
        um_per_px: micrometres per pixel of ``amounts``.
        rng: focus, noise and the direction of the light.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = amounts.shape[1:]
    density = np.tensordot(appearance.stain_matrix().T, amounts, axes=1)
    light = np.exp(np.float32(-np.log(10)) * density)
    if scene.refraction:
        light += _rims(amounts, scene, um_per_px)
    blur = appearance.blur_um * rng.uniform(0.8, 1.5) / um_per_px
    lamp = _lamp((height, width), appearance, scene, rng)
    focus = _focus((height, width), scene, rng)
    image = np.empty((height, width, 3), dtype=np.uint8)
    for channel in range(3):
        plane = _blurred(light[channel], blur, scene, um_per_px, focus)
        if appearance.sharpening:
            smooth = scipy.ndimage.gaussian_filter(plane, SHARPENING_UM / um_per_px, truncate=2.5)
            plane += np.float32(appearance.sharpening) * (plane - smooth)
        plane = np.float32(appearance.haze) + np.float32(1 - appearance.haze) * plane
        plane *= np.float32(appearance.background[channel]) * lamp[channel]
        plane += np.float32(appearance.noise) * white((height, width), rng)
        image[..., channel] = np.clip(plane + 0.5, 0, 255)
    return image if scene.jpeg_quality is None else _compressed(image, scene.jpeg_quality)


def _rims(amounts: Plane, scene: Scene, um_per_px: float) -> Plane:
    """Change of the light at the edges, (3, H, W)."""
    thickness = np.minimum(amounts.sum(axis=0), 1.5)
    sigma = max(_RIM_UM / um_per_px, 0.7)
    curvature = scipy.ndimage.gaussian_laplace(thickness, sigma) * np.float32(sigma**2)
    strength = (0.55 * (scene.refraction + scene.fringes * _FRINGE)).astype(np.float32)
    rims: Plane = np.clip(strength[:, None, None] * curvature, -0.6, 0.5)
    return rims


def _focus(shape: tuple[int, int], scene: Scene, rng: np.random.Generator) -> Plane | None:
    """Share of sharpness of each pixel where a part of the field is out of focus."""
    if not scene.defocus_part:
        return None
    across = _slope(shape, rng)
    sharp: Plane = np.clip(2.5 * (across + np.float32(rng.uniform(-0.25, 0.25))) + 0.5, 0, 1)
    return sharp


def _blurred(plane: Plane, blur: float, scene: Scene, um_per_px: float, focus: Plane | None) -> Plane:
    if scene.defocus_um == 0:
        result: Plane = scipy.ndimage.gaussian_filter(plane, blur)
        return result
    far: Plane = scipy.ndimage.gaussian_filter(plane, np.hypot(blur, scene.defocus_um / um_per_px), truncate=3)
    if focus is None:
        return far
    near = scipy.ndimage.gaussian_filter(plane, blur)
    mixed: Plane = far + focus * (near - far)
    return mixed


def _slope(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A plane from about -0.5 to 0.5 over the picture, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    columns = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32) * np.float32(np.cos(angle))
    plane: Plane = rows + columns
    return plane


def _lamp(shape: tuple[int, int], appearance: Appearance, scene: Scene, rng: np.random.Generator) -> Plane:
    """Share of the light that reaches each pixel, (3, H, W)."""
    lamp = np.ones((3, *shape), dtype=np.float32)
    lamp -= np.float32(appearance.gradient) * (0.5 + _slope(shape, rng))
    if scene.vignette:
        centre = rng.normal(0, 0.12, 2).astype(np.float32)
        rows = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None] - centre[0]
        columns = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32) - centre[1]
        lamp *= 1 - np.float32(scene.vignette) * np.minimum(2 * (rows**2 + columns**2), 1)
    if scene.cast:
        hue = rng.normal(0, 1, 3).astype(np.float32)
        bend = _slope(shape, rng)
        lamp *= 1 + np.float32(scene.cast) * hue[:, None, None] * np.maximum(bend, -0.1)
    return lamp


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The image after JPEG compression."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality)
    with Image.open(stream) as picture:
        return np.asarray(picture)
