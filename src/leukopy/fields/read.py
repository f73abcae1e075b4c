"""Reading of fields: photographs, pages of files and regions of whole slides."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import ImageError, InputError
from leukopy.fields.field import Field, FieldInput, Region
from leukopy.fields.whole_slide import opened
from leukopy.imaging.decode import FIELD, decode, read_file
from leukopy.imaging.focus import merge_planes
from leukopy.imaging.scale import Scale, read_scale


def read_field(source: FieldInput) -> Field:
    """Read and decode one field: upright 8-bit RGB, with its scale where the file or a table states one.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of `imaging.refusal.REASONS`.
        MissingExtraError: a region of a slide that needs the extra ``slides``.
    """
    if source.region is not None:
        return _read_region(source, source.region)
    data = read_file(Path(source.path), FIELD)
    pixels = _pixels(data, source)
    digest = hashlib.sha256(data)
    if source.page is not None or source.planes:
        part = f"{source.page} {source.planes} {source.focus}"
        digest = hashlib.sha256(digest.digest() + part.encode())
    return _scaled(source, pixels, digest.hexdigest(), read_scale(data, source.path))


def _scaled(source: FieldInput, pixels: NDArray[np.uint8], digest: str, stated: Scale) -> Field:
    """A field with the scale of its file, else of a table."""
    if stated.um_per_px is not None:
        return Field(source, pixels, digest, stated.um_per_px, "file")
    table = source.um_per_px
    return Field(source, pixels, digest, table, None if table is None else "table", stated.note)


def _read_region(source: FieldInput, region: Region) -> Field:
    """A region of a whole slide. ``digest`` is that of `fields.whole_slide.WholeSlide.digest`."""
    try:
        slide = opened(Path(source.path))
        pixels, digest = slide.read(region), slide.digest(region)
    except ImageError:
        raise
    except InputError as error:
        raise ImageError("unreadable", str(error)) from error
    return _scaled(source, pixels, digest, Scale(slide.um_per_px, slide.scale_note))


def _pixels(data: bytes, source: FieldInput) -> NDArray[np.uint8]:
    if not source.planes:
        return decode(data, source.path, FIELD, source.page)
    try:
        planes = (decode(data, source.path, FIELD, page) for page in source.planes)
        return merge_planes(planes, source.focus, source.path)
    except ImageError:
        raise
    except InputError as error:
        raise ImageError("unsupported_format", str(error)) from error
