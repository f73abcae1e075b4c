"""Folders of data and of caches; an environment variable moves each."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """``LEUKOPY_DATA``, or the current folder."""
    return Path(os.environ.get("LEUKOPY_DATA", "."))


def cache_folder() -> Path:
    """``LEUKOPY_CACHE``, or ``leukopy`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "leukopy"
    return Path(os.environ.get("LEUKOPY_CACHE", default))


def review_folder() -> Path:
    """``LEUKOPY_REVIEW``, or ``leukopy/review`` in the user's data folder: the cases of the review station."""
    default = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "leukopy" / "review"
    return Path(os.environ.get("LEUKOPY_REVIEW", default))
