"""Takes tables of orders from a folder: each file is read once it no longer changes, then moved away.

``taken/`` receives the files that were read; ``refused/`` receives, under the same name, the rows that were not taken,
each with its reason, or the whole file with its reason beside it.
"""

from __future__ import annotations

import csv
import re
import time
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

from leukopy.core.errors import LeukopyError, ManifestError
from leukopy.core.files import atomic_path, output_error
from leukopy.core.tables import Row, read_table
from leukopy.review.records import NewOrder
from leukopy.review.security.problems import log_error
from leukopy.review.store import Store, Unavailable

POLL = 2.0
"""Seconds between two looks at the folder: a file that was the same twice is whole."""
LONGEST = 10 * 2**20
"""Bytes of a table."""
TAKEN, REFUSED = "taken", "refused"
_COLUMNS = {name: name for name in ("patient", "slide", "age", "sex", "priority", "requester", "specimen_date")}
_COLUMNS |= {"number": "order"}
_SEX = {"f": "female", "female": "female", "m": "male", "male": "male"}


class DropFolder:
    """Watches a folder until it is stopped.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._stuck: set[Path] = set()
        """Files that could not be moved: not read again."""
        self._stopping = Event()
        self._thread = Thread(target=self._work, name="leukopy-orders-folder", daemon=True)
        try:
            for name in (TAKEN, REFUSED):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present file."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(POLL):
            try:
                self.look()
            except Unavailable:
                pass  # the files stay where they are
            # Whatever is in the folder, the next file is read.
            except Exception as error:  # noqa: BLE001
                log_error(error)

    def look(self) -> None:
        """Read the files that have not changed since the last look."""
        now: dict[Path, tuple[int, int]] = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix.lower() in (".csv", ".tsv") and path.is_file() and not path.is_symlink():
                found = path.stat()
                now[path] = (found.st_size, found.st_mtime_ns)
        ready = [path for path, facts in now.items() if self._seen.get(path) == facts and path not in self._stuck]
        self._seen = now
        for path in ready:
            self._take(path)

    def _take(self, path: Path) -> None:
        try:
            if self._seen[path][0] > LONGEST:
                raise ManifestError(f"{path.name}: is longer than {LONGEST:,} bytes. Divide it.")
            table = read_table(path, _COLUMNS, ("number", "patient"))
        except ManifestError as error:
            self._write(path.with_suffix(".txt").name, f"{error}\n")
            self._move(path, REFUSED)
            return
        refused = [(row, reason) for row in table.rows if (reason := self._order(row))]
        if refused:
            self._write(path.name, _with_reasons(refused))
        self._move(path, TAKEN)

    def _order(self, row: Row) -> str:
        """Take the order of a row; returns why not, empty where it was."""
        try:
            self._store.orders.take([NewOrder.build(_values(row), where=row.place)], "table")
        except Unavailable:
            raise
        except LeukopyError as error:
            return str(error)
        return ""

    def _write(self, name: str, text: str) -> None:
        with atomic_path(self._folder / REFUSED / name) as temporary:
            temporary.write_text(text, "utf-8")

    def _move(self, path: Path, where: str) -> None:
        """Move a file out of the way, under a name of its own."""
        goal = self._folder / where / path.name
        if goal.exists():
            goal = goal.with_stem(f"{goal.stem}-{time.time_ns()}")
        try:
            path.rename(goal)
        except OSError as error:
            self._stuck.add(path)
            log_error(error)


def _values(row: Row) -> dict[str, Any]:
    """The entries of a row, as an order takes them."""
    given = {name: value for name, value in row.values.items() if value}
    if "age" in given:
        given["age"] = given["age"].replace(",", ".")
    if "sex" in given:
        given["sex"] = _SEX.get(given["sex"].casefold(), given["sex"])
    if "priority" in given:
        given["priority"] = given["priority"].casefold()
    if re.fullmatch(r"\d{8}", day := given.get("specimen_date", "")):
        given["specimen_date"] = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return given


def _with_reasons(refused: list[tuple[Row, str]]) -> str:
    stream = StringIO()
    names = [*(name for name in _COLUMNS.values() if name in _named(refused[0][0])), "reason"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**_named(row), "reason": reason} for row, reason in refused)
    return stream.getvalue()


def _named(row: Row) -> dict[str, str]:
    """The values of a row by the name of their column."""
    return {_COLUMNS[field]: value for field, value in row.values.items()}
