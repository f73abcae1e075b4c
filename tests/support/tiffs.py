"""TIFF files written for tests, and the checks of what is read from them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import read_image

Pixels = NDArray[np.uint8]
Array = NDArray[np.generic]


def cell(height: int = 40, width: int = 52) -> Pixels:
    """A purple disc before a bright background, with a gradient in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    background, nucleus = (235 - x / 4, 228 - y / 4, 250 - (x + y) / 8), (90 + x / 2, 40 + y, 130 + (x + y) / 4)
    return np.stack([np.where(disc, n, b) for n, b in zip(nucleus, background, strict=True)], axis=-1).astype(np.uint8)


def tiff(values: Array, **options: object) -> bytes:
    stream = io.BytesIO()
    colours = "rgb" if values.ndim == 3 and values.shape[2] in (3, 4) else "minisblack"
    tifffile.imwrite(stream, values, **{"photometric": colours, **options})  # type: ignore[arg-type]
    return stream.getvalue()


def pillow(values: Array, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", **options)
    return stream.getvalue()


def deep(pixels: Pixels, bits: int) -> NDArray[np.uint16]:
    """As a camera of so many bits delivers it, in 16 bits."""
    return np.rint(pixels * ((2**bits - 1) / 255)).astype(np.uint16)


GREY = cell()[..., 1]


def lzw(values: Array, **options: object) -> bytes:
    """What `tiff` writes, as LZW: each byte a code of 9 bits, and the code for an empty table before every 200."""
    data = bytearray(tiff(values, **options))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        page, order = tif.pages.first, tif.byteorder
        kind = "Tile" if page.is_tiled else "Strip"
        tags = [page.tags[name] for name in ("Compression", f"{kind}Offsets", f"{kind}ByteCounts")]
        segments = [data[at : at + count] for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    offsets, counts = [], []
    for segment in segments:
        codes = [code for at in range(0, len(segment), 200) for code in (256, *segment[at : at + 200])] + [257]
        bits = "".join(f"{code:09b}" for code in codes) + "0000000"
        packed = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8)
        offsets.append(len(data))
        counts.append(len(packed))
        data += packed
    for tag, numbers in zip(tags, ([5], offsets, counts), strict=True):
        stored = np.array(numbers, f"{order}u{2 if tag.dtype == 3 else 4}")
        data[tag.valueoffset : tag.valueoffset + stored.nbytes] = stored.tobytes()
    return bytes(data)


def assert_same(data: bytes, pixels: Pixels, tolerance: int = 1, page: int | None = None) -> None:
    read = read_image(data, page=page)
    expected = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= tolerance


def refusal_of(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(data)
    assert caught.value.reason == "unsupported_format"
    return str(caught.value)
