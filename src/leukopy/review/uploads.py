"""Uploaded images and zips: accepted, passed over, or refused with a reason.

No statement of a file about itself is trusted. The decoder determines whether it is an image, and of which kind; how
large an entry of a zip is, is counted while it is unpacked; an entry's path is shown to people and used for nothing
else, since images are stored by the digest of their bytes.
"""

from __future__ import annotations

import hashlib
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from posixpath import splitext
from typing import BinaryIO, Literal, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from leukopy.core.errors import ImageError, InputError
from leukopy.core.leftovers import DOCUMENT_SUFFIXES
from leukopy.core.service_files import service_kind
from leukopy.fields.kind import guess_kind
from leukopy.imaging.decode import check_image
from leukopy.inference.rows import CellInput
from leukopy.review.records import Refused, UploadResult, User
from leukopy.review.settings import Limits
from leukopy.review.store import NewImage, Store

ZIP_START = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip begins, full or empty."""

NAME_LENGTH = 200

REASONS: dict[str, str] = {
    "link": "is a link, not a file. Put the image itself into the zip.",
    "path": "has a path that leads out of the zip. Make the zip from inside the folder of the images.",
    "encrypted": "is encrypted. Make the zip without a password.",
    "nested_zip": "is a zip inside a zip. Unpack it, or upload it by itself.",
    "compression": "is compressed in a way that is not read. Make the zip with the usual (deflate) compression.",
    "damaged_zip": "is damaged. Make the zip again.",
    "too_large": "is larger than one image may be.",
    "too_many_entries": "holds more files than one zip may. Split it.",
    "zip_bomb": "grows beyond all measure when unpacked; nothing more of it was read.",
}
"""Every reason an upload can fail for, beside those of `leukopy.imaging.decode`."""

_RATIO_FROM = 2**20
"""Bytes from which the ratio is looked at: a small drawing of one colour is no bomb."""
_KEPT = 256
_KEPT_BYTES = 32 * 2**20
"""Images in memory, and their bytes, before they are stored: one transaction for hundreds of cells."""
_DIRECTORY_BYTES = 1024
"""Of a zip's table of contents, for each entry that is allowed: ample for its name."""


class Upload(NamedTuple):
    """One file as it arrived."""

    name: str
    """As the sender calls it."""
    content: BinaryIO
    """Open for reading, seekable, at its start."""


class PassedOver(NamedTuple):
    """A file that no one takes for a cell: a service file of a system, a table or a note."""

    kind: str
    """As `core.service_files.service_kind` calls it, or its suffix."""


Taken = NewImage | Refused | PassedOver
"""Outcome of a file."""


Kind = Literal["cells", "fields"]
"""Meaning of a picture: one cell, or a field of view."""


def unpack(uploads: Iterable[Upload], limits: Limits) -> Iterator[Taken]:
    """What becomes of each file, one at a time, so that memory holds one image only.

    An image gives a `NewImage`; a service file, a table or a note a `PassedOver`, as when a folder is analysed;
    anything else a `Refused`. A zip gives one of these for each of its files, or a single `Refused` for the whole.
    """
    for name, content in uploads:
        if content.read(4) in ZIP_START and not _document(name):
            content.seek(0)
            yield from _unzip(name, content, limits)
        else:
            content.seek(0)
            kind = service_kind(_parts(name))
            yield PassedOver(kind) if kind else _image(name, content.read(limits.image_bytes + 1), limits)


def keep(store: Store, user: User, case_id: str, found: Iterable[Taken], kind: Kind | None = "cells") -> UploadResult:
    """Store what `unpack` found, some images at a time.

    Args:
        store: where to.
        user: who acts.
        case_id: whose images they become.
        found: what was unpacked.
        kind: meaning of a picture; None: told from the first ``_KEPT`` pictures.

    Raises:
        NotFound, NotAllowed: of the store; what was stored until then stays.
        InputError: the pictures are cells and fields.
    """
    added, repeated, refusals = 0, 0, []
    passed_over: Counter[str] = Counter()
    images: list[NewImage] = []
    held = {*store.predictions.digests(case_id), *store.fields.digests(case_id)}
    for one in found:
        if isinstance(one, PassedOver):
            passed_over[one.kind] += 1
            continue
        if isinstance(one, Refused):
            refusals.append(one)
            continue
        images.append(one)
        digest = hashlib.sha256(one.data).hexdigest()
        repeated += digest in held
        held.add(digest)
        if len(images) >= _KEPT or sum(len(image.data) for image in images) >= _KEPT_BYTES:
            kind = kind or _kind(store, images)
            added += _store(store, user, case_id, images, kind)
            images = []
    if images:
        kind = kind or _kind(store, images)
        added += _store(store, user, case_id, images, kind)
    if refusals:
        store.cells.add_failures(user, case_id, refusals)
    return UploadResult(
        added=added,
        refused=tuple(refusals),
        repeated=repeated,
        elsewhere=store.cells.elsewhere(user, case_id),
        passed_over=dict(passed_over),
        fields=kind == "fields",
    )


def _store(store: Store, user: User, case_id: str, images: Sequence[NewImage], kind: Kind) -> int:
    add = store.fields.add if kind == "fields" else store.cells.add_images
    return add(user, case_id, images)


def _kind(store: Store, images: Sequence[NewImage]) -> Kind:
    """The kind of pictures, by the pictures; raises InputError: they are cells and fields."""
    digests = store.images.add(image.data for image in images)
    cells = [CellInput(image.name, str(store.images.path(one))) for image, one in zip(images, digests, strict=True)]
    try:
        return guess_kind(cells, "The upload").kind
    except InputError as error:
        raise InputError("The upload holds cells and fields of view. Send them one after the other.") from error


def _image(name: str, data: bytes, limits: Limits) -> Taken:
    if len(data) > limits.image_bytes:
        return refused(name, "too_large")
    name = shown(name)
    try:
        facts = check_image(data, name)
    except ImageError as error:
        if error.reason == "not_an_image" and (kind := _document(name)):
            return PassedOver(kind)
        return Refused(name=name, reason=error.reason, message=str(error))
    return NewImage(name, data, facts.width, facts.height, facts.media_type)


def _unzip(name: str, content: BinaryIO, limits: Limits) -> Iterator[Taken]:
    try:
        archive = ZipFile(_Careful(content, max(2**20, limits.zip_entries * _DIRECTORY_BYTES)))
        entries = archive.infolist()
    # On bytes that are no healthy zip, zipfile raises these.
    except (BadZipFile, NotImplementedError, ValueError, OSError, EOFError, LookupError) as error:
        yield refused(name, "too_many_entries" if isinstance(error, _TooLongError) else "damaged_zip")
        return
    if reason := _whole(entries, limits):
        yield refused(name, reason)
        return
    left = limits.zip_bytes
    for entry in entries:
        if entry.is_dir():
            continue
        if kind := service_kind(_parts(entry.filename)):
            yield PassedOver(kind)
            continue
        found, unpacked = _entry(archive, entry, limits, left)
        left -= unpacked
        yield found


def _whole(entries: list[ZipInfo], limits: Limits) -> str | None:
    """Why a zip is refused as a whole, by what it says of itself; an entry that says less than it holds is cut off."""
    if len(entries) > limits.zip_entries:
        return "too_many_entries"
    if sum(entry.file_size for entry in entries) > limits.zip_bytes or any(
        entry.file_size > max(_RATIO_FROM, limits.zip_ratio * entry.compress_size) for entry in entries
    ):
        return "zip_bomb"
    return None


def _document(name: str) -> str:
    """The suffix of a table or note; empty for another file."""
    suffix = splitext(name)[1].lower()
    return suffix if suffix in DOCUMENT_SUFFIXES else ""


def _parts(name: str) -> list[str]:
    return re.split(r"[/\\]", name)


def _entry(archive: ZipFile, entry: ZipInfo, limits: Limits, left: int) -> tuple[Taken, int]:
    """What becomes of an entry, and how many bytes were unpacked for it, of ``left`` that may be."""
    if reason := _refusal(entry):
        return refused(entry.filename, reason), 0
    most = max(0, min(limits.image_bytes, left))
    try:
        with archive.open(entry) as stream:
            data = stream.read(most + 1)  # never more, whatever the entry says of itself
    except (BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError, zlib.error):
        return refused(entry.filename, "damaged_zip"), most
    if len(data) > most:
        return refused(entry.filename, "too_large" if most == limits.image_bytes else "zip_bomb"), len(data)
    if data.startswith(ZIP_START):
        kind = _document(entry.filename)  # those of an office are zips too
        return PassedOver(kind) if kind else refused(entry.filename, "nested_zip"), len(data)
    return _image(entry.filename, data, limits), len(data)


def _refusal(entry: ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "link"
    parts = _parts(entry.filename)
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", parts[0]):
        return "path"
    if entry.flag_bits & 1:
        return "encrypted"
    return None if entry.compress_type in (ZIP_STORED, ZIP_DEFLATED) else "compression"


def refused(name: str, reason: str) -> Refused:
    """A refusal for one of `REASONS`."""
    name = shown(name)
    return Refused(name=name, reason=reason, message=f"{name}: {REASONS[reason]}")


def shown(name: str) -> str:
    """A file's name fit for people: printable, and no longer than ``NAME_LENGTH``; of a long one, its end."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return printable[-NAME_LENGTH:] or "(no name)"


class _TooLongError(ValueError):
    """A table of contents that is longer than any honest one."""


class _Careful:
    """A file that refuses to be read in one piece beyond a limit: zipfile loads its table of contents so, unchecked."""

    def __init__(self, content: BinaryIO, limit: int) -> None:
        self._content = content
        self._limit = limit
        self.seek, self.tell, self.seekable = content.seek, content.tell, content.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size if 0 <= size <= self._limit else self._limit + 1)
        if len(data) > self._limit:
            raise _TooLongError
        return data
