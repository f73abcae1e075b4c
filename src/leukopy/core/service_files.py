"""Service files of operating systems and storage boxes (NAS) beside the user's: thumbnails, settings, recycle bins."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FOLDERS = (
    "@eaDir", ".@__thumb", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot", "$RECYCLE.BIN", "RECYCLER",
    "System Volume Information", "__MACOSX", "lost+found", "Network Trash Folder", "Temporary Items",
)  # fmt: skip
_FILES = (
    "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "Icon\r", "Picasa.ini", "ZbThumbnail.info",
)  # fmt: skip
_NAMES = {name.lower(): name for name in (*_FOLDERS, *_FILES)}

_PATTERNS = (
    (re.compile(r"\._"), "._*"),  # macOS, on foreign disks
    (re.compile(r"SYNO(FILE|PHOTO|VIDEO)_THUMB", re.IGNORECASE), "@eaDir"),  # copied out of its folder
    (re.compile(r".*@Syno(Resource|EAStream)$", re.IGNORECASE), "@eaDir"),
    (re.compile(r"~\$|\.~lock\."), "lock files"),
    (re.compile(r".*:Zone\.Identifier$", re.IGNORECASE), "Zone.Identifier"),
)

HIDDEN = "hidden"


def service_kind(parts: Sequence[str]) -> str | None:
    """The kind of a service file, as a message calls it; None for a file of the user.

    Args:
        parts: names of the folders below the user's folder and, last, of the file. Case is ignored, as on the systems
            that write these files.
    """
    for part in parts:
        name = _NAMES.get(part.lower()) or next((kind for pattern, kind in _PATTERNS if pattern.match(part)), None)
        if name is None and part.startswith(".") and part not in (".", ".."):
            name = ".DS_Store" if part.lower() == ".ds_store" else HIDDEN
        if name is not None:
            return name.strip()
    return None
