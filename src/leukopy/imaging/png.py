"""PNG of 16 bits. Pillow keeps only the high byte of such pictures with colours or transparency."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from leukopy.imaging import levels
from leukopy.imaging.refusal import refusal

DEPTH_AT = 24
"""Offset of the bits per sample in a PNG."""


def read_deep_png(data: bytes, picture: ImageFile.ImageFile, where: str) -> Image.Image:
    """A PNG of 16 bits as RGB, by :func:`leukopy.imaging.levels.to_rgb`.

    Args:
        data: the file's bytes.
        picture: the file, decoded by Pillow.
        where: its name in messages.

    Raises:
        ImageError: ``unsupported_format``: several frames.
    """
    if picture.mode.startswith("I;16"):
        return levels.flatten(picture, where)
    if getattr(picture, "n_frames", 1) > 1:
        raise refusal("unsupported_format", where, "frames of 16 bits")
    raw = PngImageFile(BytesIO(data)).tile[0].args
    if raw == "LA;16B":  # four bytes for each pixel, as RGBA of 8 bits has
        stored = _decoded(data, "RGBA").astype(np.uint16)
        values = stored[..., 0::2] << 8 | stored[..., 1::2]
    else:  # read as if the low byte came first, the "high" byte is the low one
        values = _decoded(data, f"{picture.mode};16B").astype(np.uint16) << 8 | _decoded(data, f"{picture.mode};16L")
    if values.shape[2] == 3:
        return levels.to_rgb(values, where)
    return levels.to_rgb(values[..., :-1], where, alpha=values[..., -1])


def _decoded(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    picture = PngImageFile(BytesIO(data))
    picture.tile = [tile._replace(args=raw_mode) for tile in picture.tile]
    return np.asarray(picture)
