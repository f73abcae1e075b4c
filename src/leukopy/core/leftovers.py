"""Files beside the pictures of a folder: named, never dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DOCUMENT_SUFFIXES = frozenset({
    ".csv", ".tsv", ".parquet", ".xls", ".xlsx", ".ods", ".txt", ".md", ".rtf", ".doc", ".docx", ".odt", ".pdf", ".ppt",
    ".pptx", ".htm", ".html", ".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log", ".py", ".r", ".ipynb", ".sh",
})  # fmt: skip
"""Suffixes of tables and notes, which are not pictures."""


@dataclass(frozen=True)
class Leftovers:
    """Files that are not read."""

    service_files: Mapping[str, int] = field(default_factory=dict)
    """Skipped files of operating systems and storage boxes, by kind (`core.service_files`)."""
    not_read: Mapping[str, int] = field(default_factory=dict)
    """Other files, not pictures, by suffix in lower case; "" without one."""

    @property
    def note(self) -> str:
        """One line that names every file that is not read; empty without one."""
        documents = {suffix: count for suffix, count in self.not_read.items() if suffix in DOCUMENT_SUFFIXES}
        others = (
            f"{title}: {_files(found)}"
            for title, found in (
                ("tables and notes", documents),
                ("passed over, made by operating systems and storage boxes", self.service_files),
            )
            if found
        )
        return "; ".join(filter(None, (self.pictures_note, *others)))

    @property
    def pictures_note(self) -> str:
        """The part of `note` on files that may hold pictures: ``not read: 5 files (.czi, .nd2)``."""
        found = {suffix: count for suffix, count in self.not_read.items() if suffix not in DOCUMENT_SUFFIXES}
        return f"not read: {_files(found)}" if found else ""


NOTHING_LEFT = Leftovers()


def _files(found: Mapping[str, int]) -> str:
    """``5 files (.czi, .nd2)``, the most frequent first."""
    count = sum(found.values())
    names = ", ".join(
        name or "without suffix" for name in sorted(found, key=lambda name: (-found[name], not name, name))
    )
    return f"{count} file{'s' if count > 1 else ''} ({names})"
