"""Bytes of untrusted files, within the limits of their kind."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from leukopy.imaging.refusal import CELL, Limits, refusal


def read_file(path: Path, limits: Limits = CELL) -> bytes:
    """The bytes of a regular file within the size limit.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    with open_file(path, limits) as stream, _file_errors(path):
        return stream.read()


def open_file(path: Path, limits: Limits = CELL) -> BinaryIO:
    """A regular file within the size limit, open at its start.

    Raises:
        ImageError: as `read_file`.
    """
    with _file_errors(path):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            next(path.iterdir(), None)  # a folder without permission raises here
            raise refusal("is_a_folder", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise refusal("unreadable", str(path))
        if status.st_size > limits.file_bytes:
            limit = f"the limit is {limits.file_bytes / 1e6:.0f}"
            raise refusal(limits.large, str(path), f"{status.st_size / 1e6:.0f} MB, {limit}")
        return path.open("rb")


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise refusal("not_found", str(path)) from error
    except PermissionError as error:
        raise refusal("no_permission", str(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise refusal("unreadable", str(path), str(getattr(error, "strerror", None) or error)) from error
