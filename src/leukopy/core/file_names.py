"""Names of files in a table, resolved to the spelling on disk."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePath

from leukopy.core.errors import ManifestError

_WINDOWS_ROOT = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class FileNames:
    """The files that a table names, relative to its folder or absolute.

    Backslashes of Windows become slashes. Letters may be composed (NFC) or decomposed (NFD, as macOS writes them), in
    the table and on the disk. A folder is listed once.
    """

    def __init__(self, table: Path) -> None:
        self._folder = str(table.resolve().parent)
        self._names: dict[str, dict[str, list[str]]] = {}
        self._real: dict[str, str] = {}
        self._first: dict[str, str] = {}

    def exists(self, text: str) -> bool:
        """True where a file has exactly this name."""
        return os.path.lexists(os.path.join(self._folder, text))  # noqa: PTH118 - strings, for every row of a table

    def find(self, text: str, where: str) -> str:
        """The name in the spelling of the disk, with slashes; as written where no such file exists.

        Args:
            text: the name in the table.
            where: the table and its line, for the message.

        Raises:
            ManifestError: a path of a Windows drive or share read on another system, or two files of one name.
        """
        root = _WINDOWS_ROOT.match(text)
        if os.sep == "/" and (root or "\\" in text) and not self.exists(text):
            if root:
                raise ManifestError(
                    f"{where}: a path of a Windows drive or share, which this computer lacks. Write paths "
                    "relative to the table's folder."
                )
            text = text.replace("\\", "/")
        return text if text.isascii() else self._spelled(text, where)

    def path(self, name: str) -> str:
        """The absolute path of a name that `find` returned."""
        return os.path.normpath(os.path.join(self._folder, name))  # noqa: PTH118

    def earlier(self, name: str, place: str) -> str | None:
        """The place where the table named the same file earlier, in any spelling; None for the first time.

        Args:
            name: as `find` returned it.
            place: the place of this row.
        """
        folder, file = os.path.split(os.path.join(self._folder, name))  # noqa: PTH118
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        key = os.path.join(self._real[folder], file)  # noqa: PTH118
        found = self._first.get(key)
        self._first.setdefault(key, place)
        return found

    def _spelled(self, text: str, where: str) -> str:
        found = PurePath()
        for part in PurePath(text).parts:
            names = [part] if part.isascii() else self._alike(str(Path(self._folder) / found), part)
            if len(names) > 1:
                raise ManifestError(
                    f"{where}: two files or folders on the disk have this name, one with composed and one with "
                    "decomposed letters. Rename one of them."
                )
            found /= names[0] if names else part
        return str(found)

    def _alike(self, folder: str, name: str) -> list[str]:
        """The names in a folder that equal ``name`` up to the composition of letters."""
        if folder not in self._names:
            names = self._names[folder] = {}
            try:
                for entry in os.listdir(folder):  # noqa: PTH208 - strings are wanted
                    names.setdefault(_readable(entry), []).append(entry)
            except OSError:
                pass  # reading the file says why
        return self._names[folder].get(unicodedata.normalize("NFC", name), [])


def _readable(name: str) -> str:
    """A name on the disk as a table writes it; bytes that are not UTF-8 are read as Windows-1252."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("cp1252", "replace")
    return unicodedata.normalize("NFC", name)
