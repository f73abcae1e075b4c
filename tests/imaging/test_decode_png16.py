"""PNG of 16 bits: the depth in use, in grey and colours, with and without transparency."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import pages, read_image

HEIGHT, WIDTH = 24, 37
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels -> as PNG calls them."""


def cell() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    disc = (x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2 < 60
    return np.stack([np.where(disc, 90 + x, 240 - y), np.where(disc, 40 + y, 250 - x), 255 - 2 * x], -1).astype(
        np.uint8
    )


def png(values: NDArray[np.uint16], *, filtered: int = 0, chunks: bytes = b"") -> bytes:
    """A 16-bit PNG, which Pillow cannot write in colour. ``filtered``: 0, or 1 for the filter Sub, 2 for Up."""
    height, width, channels = values.shape
    rows = np.frombuffer(values.astype(">u2").tobytes(), np.uint8).reshape(height, width * channels * 2)
    before = np.zeros_like(rows)
    if filtered == 1:
        before[:, channels * 2 :] = rows[:, : -channels * 2]
    elif filtered == 2:
        before[1:] = rows[:-1]
    scanlines = np.hstack([np.full((height, 1), filtered, np.uint8), rows - before])
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    body = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(scanlines.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deep(pixels: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    return np.rint(pixels * ((2**bits - 1) / 255)).astype(np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("filtered", [0, 1, 2])
def test_depth_in_use(bits: int, filtered: int) -> None:
    pixels = cell()
    grey = pixels[..., :1]
    for opaque in (2**bits - 1, 65535, 0):  # an alpha of 0 everywhere hides nothing
        alpha = np.full((HEIGHT, WIDTH, 1), opaque, np.uint16)
        for shown, values in (
            (pixels, deep(pixels, bits)), (pixels, np.dstack([deep(pixels, bits), alpha])),
            (grey, deep(grey, bits)), (grey, np.dstack([deep(grey, bits), alpha])),
        ):  # fmt: skip
            read = read_image(png(values, filtered=filtered)).astype(int)
            assert np.abs(read - shown).max() <= 1


def test_low_bytes_are_read() -> None:
    values = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    values[0, 0] = 65535
    assert np.array_equal(read_image(png(values)), np.rint(values / 257).astype(np.uint8))


def test_transparency_lies_over_white() -> None:
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint16)
    alpha[:, :10] = 65535
    alpha[:, 10:20] = 32768
    for pixels in (cell(), cell()[..., :1]):
        read = read_image(png(np.dstack([deep(pixels, 16), alpha]))).astype(int)
        assert np.abs(read[:, :10] - pixels[:, :10]).max() <= 1
        assert np.abs(read[:, 10:20] - (pixels[:, 10:20] * 0.5 + 127.5)).max() <= 1
        assert (read[:, 20:] == 255).all()


def test_frames_of_16_bits_are_refused() -> None:
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    data = png(deep(cell(), 16), chunks=control)
    assert pages(data) == 2 + 1  # the first picture stands outside the animation
    for page, reason in ((None, "several_pages"), (1, "unsupported_format")):
        with pytest.raises(ImageError) as caught:
            read_image(data, page=page)
        assert caught.value.reason == reason


def test_a_truncated_file_is_never_half_a_picture() -> None:
    data = png(deep(np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8), 16))
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ImageError) as caught:
            read_image(data[: int(len(data) * share)])
        assert caught.value.reason in ("truncated", "damaged")
