"""Images on disk under the digest of their bytes: ``images/ab/abcdef…``. No name from outside is part of a path."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from leukopy.core.files import output_error
from leukopy.review.store.errors import Damaged, NotFound

EMBEDDINGS = "embeddings"
"""Folder of a station for what is computed from its images and may be deleted at any time."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ImageStore:
    """A folder of images; identical bytes are stored once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the picture with this sha256 lies, whether or not it is there.

        Raises:
            NotFound: ``digest`` is none.
        """
        if not _DIGEST.fullmatch(digest):
            raise NotFound("there is no such image.")
        return self.folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """The bytes of a picture.

        Raises:
            NotFound: it is not there.
            Damaged: the file is no longer what was stored.
        """
        try:
            data = self.path(digest).read_bytes()
        except OSError as error:
            raise NotFound(f"image {digest} is missing from the image folder: restore it from a backup.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(f"image {digest} is damaged: restore it from a backup.")
        return data

    def add(self, pictures: Iterable[bytes]) -> list[str]:
        """Keep pictures; when this returns they are on the disk.

        Returns:
            The sha256 of each.

        Raises:
            OutputError: the disk is full or not permitted; pictures kept so far do no harm.
        """
        digests, folders = [], {self.folder}
        for data in pictures:
            digest = hashlib.sha256(data).hexdigest()
            digests.append(digest)
            path = self.path(digest)
            folders.add(path.parent)  # even where it exists: who wrote it may not have come this far
            if not path.exists():
                try:
                    _write(path, data)
                except OSError as error:
                    raise output_error(path, error) from error
        for folder in folders:
            _sync_folder(folder)
        return digests


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk; two threads may write the same picture at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """The new names in a folder survive a power cut too."""
    with suppress(OSError):  # not every system can open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
