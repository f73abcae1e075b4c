"""Kinds of picture: those that leukopy reads, and those that it lists as not read.

Every list of files (inputs, data sets, patients, uploads) uses these sets.
"""

from __future__ import annotations

from typing import NamedTuple

from leukopy.imaging.refusal import refusal


class Format(NamedTuple):
    """A kind of picture that leukopy reads."""

    media_type: str
    suffixes: tuple[str, ...]
    """Suffixes; files are written with the first."""


FORMATS: dict[str, Format] = {
    "JPEG": Format("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": Format("image/png", (".png", ".apng")),
    "BMP": Format("image/bmp", (".bmp", ".dib")),
    "TIFF": Format("image/tiff", (".tif", ".tiff", ".btf", ".tf8")),
    "WEBP": Format("image/webp", (".webp",)),
    "AVIF": Format("image/avif", (".avif",)),
    "HEIF": Format("image/heic", (".heic", ".heif", ".hif")),  # with the extra `heic`
}

READ_SUFFIXES = frozenset(suffix for each in FORMATS.values() for suffix in each.suffixes)
"""Lower case, with the dot."""

PAGED_SUFFIXES = READ_SUFFIXES - {*FORMATS["JPEG"].suffixes, *FORMATS["BMP"].suffixes}
"""Files that may hold several pictures: pages, or frames of an animation."""

REFUSED_SUFFIXES = frozenset({
    ".gif", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf", ".jxl", ".jxr", ".wdp", ".psd", ".psb", ".dcm", ".dicom", ".pgm",
    ".ppm", ".pbm", ".pnm", ".pcx", ".tga",
})  # fmt: skip
"""Kinds that hold one picture and are not read. They are listed, so each becomes a failure with its reason."""

IMAGE_SUFFIXES = READ_SUFFIXES | REFUSED_SUFFIXES
"""Files that a list treats as pictures of cells."""

CONTAINER_SUFFIXES = frozenset({
    ".czi", ".zvi", ".lsm", ".lif", ".lof", ".nd2", ".stk", ".oib", ".oif", ".oir", ".ims", ".dv", ".mrc", ".flex",
    ".ics", ".ids", ".fli",  # microscopes
    ".svs", ".ndpi", ".ndpis", ".vms", ".vmu", ".vsi", ".ets", ".mrxs", ".scn", ".bif", ".svslide", ".isyntax",
    ".qptiff", ".kfb", ".sdpc", ".tmap", ".mdsx",  # slide scanners
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw",  # cameras
    ".mp4", ".avi", ".mov", ".mkv", ".wmv", ".mpg",  # films
    ".nii", ".ima", ".xcf", ".exr", ".svg",
})  # fmt: skip
"""Picture files other than crops of cells, not read: a list names them and counts none as a cell."""

MEDIA_SUFFIXES = {each.media_type: each.suffixes[0] for each in FORMATS.values()}
"""Media type -> the suffix of written files."""

# Detecting the kind here, rather than in PIL.Image.open, excludes dozens of formats never used for cells.
_SIGNATURES: dict[bytes, str] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_UNREAD_SIGNATURES = (
    b"GIF8", b"8BPS", b"%PDF", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"II\xbc\x01",
    b"ZISRAWFILE", b"\xda\xce\xbe\x0a", b"\x70\0\0\0", b"\x89HDF", b"\xd0\xcf\x11\xe0", b"gimp xcf",
)  # fmt: skip


def kind_of(data: bytes, where: str) -> str:
    """The kind of a picture, by its first bytes: a key of :data:`FORMATS`.

    Raises:
        ImageError: ``empty_file``, ``unsupported_format`` or ``not_an_image``.
    """
    if not data:
        raise refusal("empty_file", where)
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brand, brands = data[8:12], data[8 : min(int.from_bytes(data[:4]), 256)]
        if brand in (b"avif", b"avis") or (brand in (b"mif1", b"msf1") and b"avif" in brands):
            return "AVIF"
        if brand in _HEIF_BRANDS:
            return "HEIF"
    if data.startswith(_UNREAD_SIGNATURES) or data[4:8] == b"ftyp" or data[128:132] == b"DICM":
        raise refusal("unsupported_format", where)
    raise refusal("not_an_image", where)
