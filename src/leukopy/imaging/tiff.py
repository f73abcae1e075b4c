"""TIFF as written by microscopes and ImageJ: the file's directories to upright 8-bit RGB.

A picture is one plane of pixels, or three planes that the file calls the channels of one picture. Thumbnails, lower
levels of a pyramid and masks are not pictures of their own.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile, TiffPage

from leukopy.imaging import levels
from leukopy.imaging.refusal import CELL, Limits, chosen, refusal
from leukopy.imaging.tiff_directories import MAX_PAGES, check_directories
from leukopy.imaging.tiff_planes import Plane, check_numbers, check_plane, is_whole, read_samples, read_whole

# tifffile warns of odd metadata in files that decode well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module="tifffile")

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_UNSPECIFIED, _PREMULTIPLIED = 0, 1  # kinds of extra sample; 2: alpha that is not multiplied

_PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE_VALUE, _METAMORPH_PLANES = 262, 274, 281, 33629


def list_stacks(stream: BinaryIO, where: str) -> list[tuple[int, ...]]:
    """The pages of each picture of a TIFF, from 1; several are focus planes, as OME names them.

    Raises:
        ImageError: its channels are not RGB. Damaged files raise whatever the libraries raise.
    """
    check_directories(stream, where)
    with TiffFile(stream) as tif:
        count = len(_pictures(tif, where))
        depth, apart = _focus_planes(tif)
    if depth < 2 or count % (depth * apart):
        return [(page,) for page in range(1, count + 1)]
    starts = (start for block in range(0, count, depth * apart) for start in range(block, block + apart))
    return [tuple(start + plane * apart + 1 for plane in range(depth)) for start in starts]


def read_size(data: bytes, where: str) -> tuple[int, int]:
    """Width and height of a TIFF of one picture; no pixel is decoded.

    Raises:
        ImageError: refused by its header. Damaged files raise whatever the libraries raise.
    """
    stream = BytesIO(data)
    check_directories(stream, where)
    with TiffFile(stream) as tif:
        page = _chosen(tif, where, None, CELL)[0].page
    return page.imagewidth, page.imagelength


def read_tiff(data: bytes, where: str, page: int | None, limits: Limits) -> tuple[Image.Image, object, tuple[int, int]]:
    """Read one picture.

    Args:
        data: the file's bytes.
        where: its name in messages.
        page: counted from 1; None: the only one.
        limits: sizes of the kind of input.

    Returns:
        RGB; its remaining orientation (as in EXIF); width and height stated in the file.

    Raises:
        ImageError: refused. Damaged files raise whatever the libraries raise.
    """
    stream = BytesIO(data)
    check_directories(stream, where)
    with TiffFile(stream) as tif:
        planes = _chosen(tif, where, page, limits)
        first = planes[0].page
        size = (first.imagewidth, first.imagelength)
        if is_whole(first):
            whole = [read_whole(data, plane, where) for plane in planes]
            picture = whole[0] if len(whole) == 1 else Image.merge("RGB", [each.convert("L") for each in whole])
            return picture, None, size
        values = np.concatenate([read_samples(data, plane, where, limits) for plane in planes], axis=2)
        return _coloured(values, tif, planes, where), first.tags.valueof(_ORIENTATION), size


def _chosen(tif: TiffFile, where: str, page: int | None, limits: Limits) -> tuple[Plane, ...]:
    """The planes of one picture, with valid headers."""
    pictures = _pictures(tif, where)
    planes = pictures[chosen(page, len(pictures), where)]
    for plane in planes:
        check_plane(plane.page, where, limits)
    if len({(plane.page.shape, plane.page.dtype, is_whole(plane.page)) for plane in planes}) > 1:
        raise refusal("unsupported_format", where, "channels that differ in size or kind")
    return planes


def _pictures(tif: TiffFile, where: str) -> list[tuple[Plane, ...]]:
    """The planes of each picture."""
    directories = [cast(TiffPage, page) for page in tif.pages]
    pages = [page for page in directories if not (page.is_reduced or page.is_mask)]
    if not directories:
        raise refusal("damaged", where)
    for page in directories:
        check_numbers(page, where)
    if not pages:
        raise refusal("unsupported_format", where, "a thumbnail alone")
    planes = [Plane(page, None) for page in pages] if len(pages) > 1 else _stack(tif, pages[0], where)
    channels, apart = _channels(tif, pages[0])
    if channels == 1:
        return [(plane,) for plane in planes]
    if channels != 3 or pages[0].samplesperpixel != 1:
        raise refusal("unsupported_format", where, f"{channels * pages[0].samplesperpixel} channels")
    if len(planes) % (channels * apart):
        raise refusal("unsupported_format", where, f"{channels} channels, but {len(planes)} planes")
    starts = (start for block in range(0, len(planes), 3 * apart) for start in range(block, block + apart))
    return [tuple(planes[start + channel * apart] for channel in range(3)) for start in starts]


def _stack(tif: TiffFile, page: TiffPage, where: str) -> list[Plane]:
    """The planes behind a single directory: ImageJ, MetaMorph and tifffile write the others right after the first."""
    count = 1
    if tif.is_imagej:
        count = int((tif.imagej_metadata or {}).get("images", 1))
    elif tif.is_stk:
        count = page.tags[_METAMORPH_PLANES].count
    elif (shaped := tif.shaped_metadata) and shaped[0].get("truncated"):
        count = math.prod(shaped[0]["shape"]) // math.prod(page.shape)
    if count <= 1 or not page.is_contiguous:
        return [Plane(page, None)]
    if count > MAX_PAGES:
        raise refusal("several_pages", where, f"more than {MAX_PAGES} pages")
    start = page.dataoffsets[0]
    if start + count * page.nbytes > tif.filehandle.size:  # stale metadata, copied into another file
        return [Plane(page, None)]
    return [Plane(page, start + number * page.nbytes) for number in range(count)]


def _channels(tif: TiffFile, page: TiffPage) -> tuple[int, int]:
    """The number of planes that are the channels of one picture, and the number of planes to the next channel."""
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        order = pixels.get("DimensionOrder", "XYCZT")
        apart = math.prod(int(pixels.get(f"Size{axis}", 1)) for axis in order[2 : order.index("C")])
        return max(1, int(pixels.get("SizeC", 1)) // page.samplesperpixel), max(1, apart)
    if tif.is_imagej and page.samplesperpixel == 1:
        return int((tif.imagej_metadata or {}).get("channels", 1)), 1
    return 1, 1


def _focus_planes(tif: TiffFile) -> tuple[int, int]:
    """The number of pictures that OME names as focus planes of one field, and the number of pictures to the next."""
    if not tif.is_ome:
        return 1, 1
    pixels = _ome_pixels(tif)
    before = pixels.get("DimensionOrder", "XYCZT").partition("Z")[0]
    return int(pixels.get("SizeZ", 1)), int(pixels.get("SizeT", 1)) if "T" in before else 1


def _ome_pixels(tif: TiffFile) -> dict[str, str]:
    """The attributes of the first ``Pixels`` of an OME-TIFF. (The files that it may name are never opened.)"""
    found = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", tif.ome_metadata or "")
    return dict(re.findall(r'(\w+)="([^"]*)"', found[1])) if found else {}


def _stated_bits(tif: TiffFile, page: TiffPage) -> int | None:
    """The depth in use, where the file states a smaller depth than its samples have."""
    highest = [page.tags.valueof(_MAX_SAMPLE_VALUE)]
    if tif.is_ome:
        highest.append(2 ** min(int(_ome_pixels(tif).get("SignificantBits", 64)), 64) - 1)
    if tif.is_imagej:
        highest.append((tif.imagej_metadata or {}).get("max"))
    for value in highest:
        top = value[0] if isinstance(value, tuple) and value else value
        if isinstance(top, int | float) and top + 1 in {2.0**bits for bits in range(8, page.bitspersample)}:
            return int(top).bit_length()
    return None


def _coloured(values: NDArray[np.generic], tif: TiffFile, planes: Sequence[Plane], where: str) -> Image.Image:
    """Samples, shape (height, width, samples), as RGB."""
    page = planes[0].page
    samples = values.shape[2]
    if page.photometric == _PALETTE and samples == 1:
        return _from_palette(values[..., 0], page)
    if _PHOTOMETRIC not in page.tags:
        raise refusal("unsupported_format", where, "it does not say whether zero is black or white")
    inverted = page.photometric == _WHITE_IS_ZERO
    bits = _stated_bits(tif, page)
    if len(planes) == 3:
        return levels.to_rgb(values, where, inverted=inverted, bits=bits)
    colours, extra = _roles(page, samples, where)
    alpha = values[..., colours] if samples > colours else None
    if alpha is not None and extra == _UNSPECIFIED:
        if colours == 1 and alpha.min() != alpha.max():
            raise refusal("unsupported_format", where, "2 channels")
        alpha = None
    return levels.to_rgb(
        values[..., :colours], where, alpha=alpha, premultiplied=extra == _PREMULTIPLIED, inverted=inverted, bits=bits
    )


def _roles(page: TiffPage, samples: int, where: str) -> tuple[int, int]:
    """The number of colours, 1 or 3, and the kind of the one sample that may follow them."""
    extras = page.extrasamples
    colours = 3 if page.photometric == _RGB or (samples == 3 and not any(extras)) else 1
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        name = getattr(page.photometric, "name", page.photometric)
        raise refusal("unsupported_format", where, f"colours of kind {name}")
    if samples - colours not in (0, 1):
        raise refusal("unsupported_format", where, f"{samples} channels")
    return colours, int(extras[-1]) if extras else _UNSPECIFIED


def _from_palette(indices: NDArray[np.generic], page: TiffPage) -> Image.Image:
    palette = np.array(page.colormap).T  # (colours, 3)
    if palette.max() > 255:  # the standard has 16 bits; some write 8
        palette = palette >> 8
    return Image.fromarray(palette.astype(np.uint8)[indices.astype(np.intp)])
