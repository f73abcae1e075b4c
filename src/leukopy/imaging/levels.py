"""Stored sample values to 8-bit RGB: the depth in use, white-is-zero, transparency over white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.refusal import refusal

DEPTHS = (8, 10, 12, 14, 16)
"""Bit depths of cameras, also found in files of 16 bits."""

_OVERSHOOT = 1.01
"""Resampled float pictures exceed white, and fall below black, by up to this much."""


def to_rgb(
    values: NDArray[np.generic],
    where: str,
    *,
    alpha: NDArray[np.generic] | None = None,
    premultiplied: bool = False,
    inverted: bool = False,
    bits: int | None = None,
) -> Image.Image:
    """Bring sample values to 8-bit RGB.

    Args:
        values: shape (height, width, 1 or 3); bool, integers or floats.
        where: the picture's name in messages.
        alpha: shape (height, width); laid over white. Alpha of 0 everywhere is ignored.
        premultiplied: the values are multiplied by alpha already.
        inverted: zero is white.
        bits: depth in use where the file states it; None: by :func:`white_of`.

    Raises:
        ImageError: ``unsupported_format``, the white of the values is unknown.
    """
    levels = _levels(values, white_of(values, where, bits))
    if inverted:
        levels = 255 - levels
    if alpha is not None and alpha.any():
        cover = _levels(alpha[..., None], white_of(alpha, where, None)).astype(np.float32) / 255
        covered = levels.astype(np.float32) * (1 if premultiplied else cover)
        levels = np.rint(np.clip(covered + 255 * (1 - cover), 0, 255)).astype(np.uint8)
    if levels.shape[2] == 1:
        return Image.fromarray(levels[..., 0]).convert("RGB")
    return Image.fromarray(np.ascontiguousarray(levels))


def white_of(values: NDArray[np.generic], where: str, bits: int | None) -> float:
    """The value of white.

    Cells are photographed before a bright background. White is thus the top of the smallest depth of :data:`DEPTHS`
    that holds the brightest value, or of the stated depth if it holds that value. Floats up to 1 have their white at 1.

    Args:
        values: any shape.
        where: the picture's name in messages.
        bits: depth stated in the file.

    Raises:
        ImageError: ``unsupported_format``: negative, not-a-number, complex, or beyond 65535.
    """
    kind, width = values.dtype.kind, values.dtype.itemsize
    if kind == "b" or (kind == "u" and width == 1):
        return 1 if kind == "b" else 255
    if kind not in "uif":
        raise refusal("unsupported_format", where, f"pixels of kind {values.dtype.name}")
    lowest, highest = float(values.min()), float(values.max())
    if not np.isfinite(lowest + highest):
        raise refusal("unsupported_format", where, "pixels that are not numbers")
    slack = _OVERSHOOT if kind == "f" else 1.0
    depths: tuple[int, ...] = (*DEPTHS, 8 * width - 1) if kind == "i" and width <= 2 else DEPTHS  # signed: one bit less
    if bits is not None and highest <= 2**bits - 1:
        depths = (bits,)
    white = next((top for top in (2.0**each - 1 for each in sorted(depths)) if highest <= top * slack), None)
    if kind == "f" and highest <= _OVERSHOOT:
        white = 1.0
    elif kind == "f" and highest < 16:
        raise refusal("unsupported_format", where, f"{values.dtype.name} pixels up to {highest:.4g}")
    if white is None or lowest < -(slack - 1) * white:
        raise refusal("unsupported_format", where, f"{values.dtype.name} pixels from {lowest:.4g} to {highest:.4g}")
    return white


def _levels(values: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.uint16:
        table: NDArray[np.uint8] = np.rint(np.minimum(np.arange(65536) * (255 / white), 255)).astype(np.uint8)
        return np.take(table, values.astype(np.uint16, copy=False))
    scaled = values.astype(np.float32) * np.float32(255 / white)
    levels: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return levels


def flatten(picture: Image.Image, where: str) -> Image.Image:
    """A decoded picture of Pillow as RGB, transparency over white.

    Raises:
        ImageError: ``unsupported_format``, as :func:`to_rgb`, and for CIELAB.
    """
    if picture.mode == "RGB":
        return picture
    if picture.mode == "LAB":
        raise refusal("unsupported_format", where, "pixels of kind LAB")
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture)
        return to_rgb(values.astype(values.dtype.newbyteorder("="))[..., None], where)
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        if clear.getchannel("A").getextrema() != (0, 0):
            return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
        return clear.convert("RGB")
    return picture.convert("RGB")
