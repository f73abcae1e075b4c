"""Probe of an image file: its size and digest, and its thumbnail on request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.datasets.duplicates import THUMBNAIL_SIDE, grey
from leukopy.imaging.decode import read_cell, read_file, read_header
from leukopy.imaging.preprocess import Preprocess

_THUMBNAIL = Preprocess(size=THUMBNAIL_SIDE)


@dataclass(frozen=True, eq=False)
class FileProbe:
    """Facts of one file."""

    width: int
    """Pixels, as stored."""
    height: int
    digest: str
    """SHA-256 of the file."""
    thumbnail: NDArray[np.uint8] | None
    """Grey, shape (32, 32), of the centred square; None where only the header was read."""


def probe_file(path: Path, *, pixels: bool) -> FileProbe:
    """Probe one image.

    Args:
        path: the file.
        pixels: decode it whole, which detects truncation and damage; else read only its header.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of ``imaging.decode.REASONS``.
    """
    if pixels:
        cell = read_cell(path, _THUMBNAIL)
        return FileProbe(cell.width, cell.height, cell.digest, grey(cell.pixels))
    data = read_file(path)
    header = read_header(data, str(path))
    return FileProbe(header.width, header.height, hashlib.sha256(data).hexdigest(), None)
