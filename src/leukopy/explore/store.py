"""Cache of results by the digest of a file's bytes, so that no image is measured twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from leukopy.core.errors import OutputError
from leukopy.core.files import output_error

_ASKED = 500  # digests in one question: SQLite's own limit lies at 999 or above


class Store:
    """A table of bytes by digest in one SQLite file. A finished `put` survives the end of the process."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. One that is damaged is made anew: it holds nothing that cannot be made again.

        Raises:
            OutputError: it cannot be made or written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
        with self._errors():
            try:
                self._connection = self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                path.unlink()
                self._connection = self._open()

    def get(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Stored contents of ``digests``; unknown digests are left out."""
        found: dict[str, bytes] = {}
        with self._errors():
            for start in range(0, len(digests), _ASKED):
                asked = digests[start : start + _ASKED]
                marks = ", ".join("?" * len(asked))
                found |= self._connection.execute(f"SELECT digest, content FROM kept WHERE digest IN ({marks})", asked)
        return found

    def known(self) -> set[str]:
        """All stored digests."""
        with self._errors():
            return {digest for (digest,) in self._connection.execute("SELECT digest FROM kept")}

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Store ``contents`` by their digests."""
        with self._errors(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", contents.items())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60)
        connection.execute("CREATE TABLE IF NOT EXISTS kept (digest TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID")
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(
                f"{self._path}: the cache cannot be written ({error}). Free some space, or set LEUKOPY_CACHE to a "
                "folder that can be written."
            ) from error
