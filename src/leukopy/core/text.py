"""Text files of users, in the encodings of common programs and countries."""

from __future__ import annotations

import codecs
import re
import zipfile
from pathlib import Path

from leukopy.core.errors import ManifestError

WORKBOOK_SUFFIXES = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"})

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),  # before UTF-16, whose mark begins theirs
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_WORKBOOK = "a workbook of a spreadsheet. Save the sheet as 'CSV UTF-8' and give that file"
_PICTURE = "a picture. Give the table that lists it"
_KINDS = (
    (b"\xd0\xcf\x11\xe0", _WORKBOOK),
    (b"\xff\xd8\xff", _PICTURE), (b"\x89PNG", _PICTURE), (b"GIF8", _PICTURE),
    (b"II*\0", _PICTURE), (b"MM\0*", _PICTURE),
    (b"PAR1", "Parquet under another name. Give it the suffix .parquet"),
    (b"%PDF", "a PDF. Save the table as CSV"),
    (b"\x93NUMPY", "a NumPy array. Save its images as files, and list them in a CSV"),
    (b"\x1f\x8b", "a compressed file. Unpack it"),
)  # fmt: skip
_IN_WORKBOOKS = frozenset({"xl/workbook.xml", "xl/workbook.bin", "content.xml", "Index/Document.iwa"})
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_LETTER_OF_UTF8 = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}")


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16 or UTF-32, else in Windows-1252. Line ends stay as they are.

    Raises:
        ManifestError: absent, not permitted, not text (the message names the kind of file where it is known), or in
            another encoding (the message names the line).
    """
    try:
        content = path.read_bytes()
        if kind := _kind(path, content):
            raise ManifestError(f"{path}: not a table but {kind}.")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    text = _decode(path, content).rstrip("\x1a")  # end mark of DOS programs
    if control := _CONTROL.search(text):
        line = len(split_lines(text[: control.start()]))
        raise ManifestError(f"{path}, line {line}: not a table (no text). Give Parquet, or text such as CSV in UTF-8.")
    return text


def split_lines(text: str) -> list[str]:
    """The lines of a text as an editor counts them, without line ends."""
    return re.split(r"\r\n|\r|\n", text)


def _kind(path: Path, content: bytes) -> str | None:
    """The kind of a file that is known not to be text, and the remedy."""
    if not content.startswith(b"PK\3\4"):
        return next((kind for start, kind in _KINDS if content.startswith(start)), None)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a damaged zip archive. Copy it again"
    if any(name.endswith(".npy") for name in names):
        return "NumPy arrays (.npz), which leukopy does not read. Save their images as files, and list them in a CSV"
    return _WORKBOOK if _IN_WORKBOOKS & set(names) else "a zip archive. Unpack it"


def _decode(path: Path, content: bytes) -> str:
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    try:
        return content.decode(marked or _unmarked(content))
    except UnicodeDecodeError as error:
        if marked or _LETTER_OF_UTF8.search(content):
            raise _undecodable(path, error) from error
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _undecodable(path, error) from error


def _unmarked(content: bytes) -> str:
    """Detect UTF-16 without its mark by the zeros in its Latin letters."""
    if b"\0" not in content:
        return "utf-8"
    return "utf-16-be" if content[:1] == b"\0" else "utf-16-le"


def _undecodable(path: Path, error: UnicodeDecodeError) -> ManifestError:
    line = len(split_lines(error.object[: error.start].decode(error.encoding, "replace")))
    return ManifestError(
        f"{path}, line {line}: not a table in UTF-8, UTF-16 or Windows-1252 (byte {error.object[error.start]:#04x}). "
        "Save it as 'CSV UTF-8'."
    )
