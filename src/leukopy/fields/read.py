"""Reading of fields: photographs and pages of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import ImageError, InputError
from leukopy.fields.field import Field, FieldInput
from leukopy.imaging.decode import FIELD, decode, read_file
from leukopy.imaging.focus import merge_planes
from leukopy.imaging.scale import read_scale


def read_field(source: FieldInput) -> Field:
    """Read and decode one field: upright 8-bit RGB, with its scale where the file or a table states one.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of `imaging.refusal.REASONS`.
    """
    data = read_file(Path(source.path), FIELD)
    pixels = _pixels(data, source)
    digest = hashlib.sha256(data)
    if source.page is not None or source.planes:
        part = f"{source.page} {source.planes} {source.focus}"
        digest = hashlib.sha256(digest.digest() + part.encode())
    stated = read_scale(data, source.path)
    if stated.um_per_px is not None:
        return Field(source, pixels, digest.hexdigest(), stated.um_per_px, "file")
    table = source.um_per_px
    return Field(source, pixels, digest.hexdigest(), table, None if table is None else "table", stated.note)


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
