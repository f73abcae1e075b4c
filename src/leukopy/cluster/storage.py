"""Files of a plan on a disk or in an object store, each whole or absent.

Credentials come from the environment (``AWS_ACCESS_KEY_ID`` …, as the client of the store reads them). They are in no
setting, no plan, no receipt and no message.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from leukopy.cluster.retries import Retries
from leukopy.core.errors import InputError, MissingExtraError, SettingsError
from leukopy.core.files import atomic_path, output_error

_URI = re.compile(r"([a-z][a-z0-9+.-]+)://([^/]+)/?(.*)", re.DOTALL)
SCHEMES = ("s3", "gs", "az")


class Store(Protocol):
    """A folder of a disk, or a prefix of an object store."""

    uri: str
    retries: Retries

    def below(self, folder: str) -> Store:
        """The store of a sub-folder."""

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: there is no such file.
            PermissionError: the object store refuses this user.
            InputError: it cannot be read.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all; an existing one is replaced.

        Raises:
            OutputError: the disk is full, or not permitted.
            InputError: the object store refuses it.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that does not exist yet, whole or not at all; False where it exists."""

    def files(self, folder: str) -> dict[str, int]:
        """Names of the files below a folder, relative to it, and their bytes."""

    def remove(self, name: str) -> None:
        """Remove a file, where it exists."""

    def fetch(self, name: str, to: Path) -> Path:
        """A path on this machine with the content of a file: its own, or a copy at ``to``."""


def is_uri(text: str) -> bool:
    """True for the URI of an object store."""
    return _URI.fullmatch(text) is not None and not text.startswith("file://")


def open_store(uri: str) -> Store:
    """The store of a URI or of a folder.

    Raises:
        SettingsError: an unknown scheme, or a URI with credentials in it.
        MissingExtraError: the client of object stores is not installed.
    """
    if not is_uri(uri):
        return LocalStore(Path(uri.removeprefix("file://")).absolute())
    bucket, key = split_uri(uri)
    return ObjectStore(bucket, key.rstrip("/"), Retries())


def split_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket`` and the key of a URI.

    Raises:
        SettingsError: as `open_store`.
    """
    found = _URI.fullmatch(uri)
    if found is None or found[1] not in SCHEMES:
        shown = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise SettingsError(f"{uri.partition('://')[0]}://: not a known object store. Give one of {shown}, or a path.")
    if "@" in found[2]:
        raise SettingsError("a URI with credentials in it. Put them into the environment: a plan is readable.")
    return f"{found[1]}://{found[2]}", found[3]


class LocalStore:
    """A folder of a disk or of a network file system."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.uri, self.retries = folder, str(folder), Retries()

    def below(self, folder: str) -> LocalStore:
        """As `Store.below`."""
        return LocalStore(self.folder / folder)

    def read(self, name: str) -> bytes:
        """As `Store.read`."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InputError(f"{self.folder / name}: cannot be read ({error.strerror}).") from error

    def write(self, name: str, data: bytes) -> None:
        """As `Store.write`."""
        with atomic_path(self.folder / name) as temporary:
            temporary.write_bytes(data)

    def create(self, name: str, data: bytes) -> bool:
        """As `Store.create`."""
        target = self.folder / name
        temporary = target.with_name(f".{target.name}.{uuid4().hex}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.link(temporary, target)  # atomic, on NFS too, and never replaces
        except FileExistsError:
            return False
        except OSError as error:
            raise output_error(target, error) from error
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def files(self, folder: str) -> dict[str, int]:
        """As `Store.files`."""
        top = self.folder / folder
        found: dict[str, int] = {}
        for path in top.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                found[path.relative_to(top).as_posix()] = path.stat().st_size
        return found

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        (self.folder / name).unlink(missing_ok=True)

    def fetch(self, name: str, to: Path) -> Path:  # noqa: ARG002  (the file itself is at hand)
        """As `Store.fetch`."""
        return self.folder / name


class ObjectStore:
    """A prefix of an object store."""

    def __init__(self, bucket: str, prefix: str, retries: Retries) -> None:
        self._bucket, self._prefix, self.retries = bucket, prefix, retries
        self.uri = f"{bucket}/{prefix}" if prefix else bucket
        self._client = _client(bucket)

    def below(self, folder: str) -> ObjectStore:
        """As `Store.below`."""
        return ObjectStore(self._bucket, self._key(folder), self.retries)

    def read(self, name: str) -> bytes:
        """As `Store.read`."""
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        refused = (PermissionDeniedError, UnauthenticatedError)
        try:
            found: bytes = self.retries.call(
                f"{self.uri}/{name}",
                lambda: self._client.get(self._key(name)).bytes().to_bytes(),
                (FileNotFoundError, *refused),
            )
        except refused as error:
            raise PermissionError(f"{self.uri}/{name}") from error
        return found

    def write(self, name: str, data: bytes) -> None:
        """As `Store.write`."""
        self.retries.call(f"{self.uri}/{name}", lambda: self._client.put(self._key(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """As `Store.create`: a conditional put. Where an answer was lost, the file there is compared."""
        from obstore.exceptions import AlreadyExistsError

        try:
            self.retries.call(
                f"{self.uri}/{name}",
                lambda: self._client.put(self._key(name), data, mode="create"),
                (AlreadyExistsError,),
            )
        except AlreadyExistsError:
            return self.read(name) == data
        return True

    def files(self, folder: str) -> dict[str, int]:
        """As `Store.files`."""
        top = f"{self._key(folder)}/" if self._key(folder) else ""

        def listed() -> dict[str, int]:
            pages = self._client.list(top or None)
            return {one["path"].removeprefix(top): one["size"] for page in pages for one in page}

        return self.retries.call(f"{self.uri}/{folder}", listed)

    def folders(self) -> list[str]:
        """Names of the sub-folders."""
        top = f"{self._prefix}/" if self._prefix else ""

        def listed() -> list[str]:
            found = self._client.list_with_delimiter(top or None)["common_prefixes"]
            return sorted(one.removeprefix(top).strip("/") for one in found)

        return self.retries.call(self.uri, listed)

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        self.retries.call(f"{self.uri}/{name}", lambda: self._client.delete(self._key(name)))

    def fetch(self, name: str, to: Path) -> Path:
        """As `Store.fetch`."""
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(self.read(name))
        return to

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)


@cache
def _client(bucket: str) -> Any:
    """The client of a bucket; its own retries are off, so that all are counted."""
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtraError("an object store", "cluster") from error
    return from_url(
        bucket,
        retry_config={"max_retries": 0},
        client_options={"allow_http": True, "timeout": "120s"},
    )


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder for work in progress below ``TMPDIR``, removed at the end.

    Raises:
        OutputError: it cannot be made.
    """
    import tempfile

    try:
        folder = Path(tempfile.mkdtemp(prefix=f"leukopy-{name}-"))
    except OSError as error:
        raise output_error(Path(tempfile.gettempdir()), error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
