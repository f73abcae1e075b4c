"""Check of whole slides: format, levels, scale, objective, and a remedy for each missing or broken part."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tifffile import TiffFile

from leukopy.core.errors import ImageError, LeukopyError
from leukopy.fields.field import ScaleSource
from leukopy.fields.slide_sample import SlideSample, sample_slide
from leukopy.fields.whole_slide import SLIDE_SUFFIXES, TIFF_SUFFIXES, WholeSlide, is_slide_file
from leukopy.imaging.formats import CONTAINER_SUFFIXES, IMAGE_SUFFIXES
from leukopy.taxonomy.objects import RED_CELL_UM

_FAT32 = 2**32 - 1
"""Bytes of the largest file on a FAT32 disk."""
_LARGE_NDPI = 2**32
_USUAL = (5.0, 10.5)
"""Typical diameters of red cells beyond which the scale is doubtful, in µm."""
_COARSE = 0.6
"""Micrometres per pixel from which leukocytes are too small to be classified."""
_MEGAPIXELS = 100
"""Size of a slide that should have smaller levels."""
_OF_TIFF = TIFF_SUFFIXES | {".svs", ".ndpi", ".scn", ".bif"}
"""Kinds of slide that are TIFF files."""


@dataclass(frozen=True)
class SlideCheck:
    """Findings on one slide."""

    path: str
    size: int | None
    """Bytes; None where there is no such file."""
    format: str | None = None
    """Maker of the scanner, or ``TIFF``; None where the slide cannot be opened."""
    levels: tuple[tuple[int, int], ...] = ()
    """Width and height of each level in pixels."""
    um_per_px: float | None = None
    """Micrometres per pixel of the largest level; None: unknown."""
    scale_source: ScaleSource | None = None
    objective: float | None = None
    """Magnification that the file states; None: not stated."""
    problems: tuple[str, ...] = ()
    """Broken or missing parts, each with its remedy: the slide, or a part of it, cannot be analysed."""
    notes: tuple[str, ...] = ()
    """What to know; the slide can be analysed."""

    @property
    def usable(self) -> bool:
        """True without a problem."""
        return not self.problems


def check_slide(path: Path) -> SlideCheck:
    """Check a slide: open it, and read squares all over it. A slide that cannot be read is a finding, not an error.

    Args:
        path: a file, or the folder of a DICOM series.
    """
    size = path.stat().st_size if path.is_file() else None
    missing = tuple(missing_parts(path))
    if missing:
        return SlideCheck(str(path), size, problems=missing)
    try:
        with WholeSlide.open(path) as slide:
            return _opened(slide, size)
    except LeukopyError as error:
        return SlideCheck(str(path), size, problems=(_of_error(path, error),))


def _opened(slide: WholeSlide, size: int | None) -> SlideCheck:
    sample = sample_slide(slide)
    stated, measured = slide.um_per_px, sample.um_per_px
    scale, source = (stated, "file") if stated else (measured, "red cells" if measured else None)
    return SlideCheck(
        str(slide.path), size, slide.vendor, slide.sizes, scale, source, slide.objective,  # type: ignore[arg-type]
        tuple(_problems(slide, sample)), tuple(_notes(slide, sample, size)),
    )  # fmt: skip


def missing_parts(path: Path) -> Iterator[str]:
    """Parts of a slide that are missing, each with its remedy, found without opening it."""
    suffix = path.suffix.lower()
    if path.is_dir() or not path.exists():
        return  # told by opening it
    if suffix not in SLIDE_SUFFIXES:
        if suffix in CONTAINER_SUFFIXES:
            yield f"{path}: a kind of file that leukopy does not read. Export it as SVS, OME-TIFF or tiled TIFF."
        elif suffix in IMAGE_SUFFIXES:
            yield f"{path}: a photograph, not a whole slide. Analyse it as a field of view."
        else:
            yield f"{path}: not a whole slide by its name. Give one of {', '.join(sorted(SLIDE_SUFFIXES))}."
        return
    size = path.stat().st_size
    if not size:
        yield f"{path}: empty (0 bytes). Copy it again."
    elif suffix == ".mrxs":
        yield from _missing_mrxs(path)
    elif suffix in _OF_TIFF and (end := _end(path)) is not None and end > size:
        yield (
            f"{path}: cut off: {size:,} of at least {end:,} bytes. Copy it again"
            f"{', to a disk other than FAT32, which holds no file over 4 GB' if size == _FAT32 else ''}."
        )


def _missing_mrxs(path: Path) -> Iterator[str]:
    """Parts of a slide of 3DHISTECH that are missing: it is a file and a folder of the same name."""
    folder = path.with_suffix("")
    index = folder / "Slidedat.ini"
    if not folder.is_dir():
        yield f"{path}: its folder {folder.name} is missing. Copy the file together with the folder of the same name."
        return
    if not index.is_file():
        yield f"{path}: {folder.name}/Slidedat.ini is missing. Copy the whole folder again."
        return
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(index.read_text("utf-8-sig", "replace"))
        names = [value for key, value in parser.items("DATAFILE") if key.startswith("file_") and key != "file_count"]
        names.append(parser.get("HIERARCHICAL", "INDEXFILE", fallback="Index.dat"))
    except (configparser.Error, OSError):
        yield f"{path}: {folder.name}/Slidedat.ini is damaged. Copy the whole folder again."
        return
    absent = [name for name in names if not (folder / name).is_file() or not (folder / name).stat().st_size]
    if absent:
        shown = ", ".join(absent[:3]) + (" …" if len(absent) > 3 else "")
        yield f"{path}: {len(absent)} of {len(names)} files of its folder are missing or empty: {shown}. Copy it again."


def _end(path: Path) -> int | None:
    """Bytes that a TIFF must have by its directories; None where they cannot be read."""
    try:
        with TiffFile(path) as tif:
            ends = [0]
            for page in tif.pages:
                for each in (page, *(getattr(page, "pages", None) or ())):
                    starts, counts = each.dataoffsets, each.databytecounts
                    ends += [start + count for start, count in zip(starts, counts, strict=False)]
            return max(ends)
    except Exception:  # noqa: BLE001 - whatever is wrong with it is told by opening it
        return None


def _of_error(path: Path, error: LeukopyError) -> str:
    """A failure to open a slide, in words."""
    if path.is_file() and path.stat().st_size == _FAT32 and isinstance(error, ImageError):
        return (
            f"{path}: cut off at 4 GB, the largest file of a FAT32 disk. Copy it again, to a disk formatted as exFAT, "
            "NTFS or APFS."
        )
    if isinstance(error, ImageError) and error.reason == "unsupported_format" and path.suffix.lower() == ".ndpi":
        return f"{path}: no NDPI slide, or cut off before its end. Copy it again."
    return str(error)


def _problems(slide: WholeSlide, sample: SlideSample) -> Iterator[str]:
    if sample.damaged:
        first = sample.damaged[0]
        yield (
            f"{slide.path}: {len(sample.damaged)} of {sample.squares} squares cannot be read, the first at "
            f"x {first.left}, y {first.top}. Copy it again, or scan the smear again."
        )
    if slide.um_per_px is None and sample.um_per_px is None:
        stated = f" ({slide.scale_note})" if slide.scale_note else ""
        yield (
            f"{slide.path}: no usable scale{stated}, and only {sample.single_cells} single red cells to measure it. "
            "State the micrometres per pixel (--um-per-px)."
        )


def _notes(slide: WholeSlide, sample: SlideSample, size: int | None) -> Iterator[str]:
    if slide.um_per_px is None and sample.um_per_px is not None:
        because = slide.scale_note or "the file states no scale"
        yield (
            f"{because}: measured on {sample.single_cells} single red cells, taken as {RED_CELL_UM} µm wide. It is "
            "better stated (--um-per-px)."
        )
    if slide.um_per_px is not None and sample.red_cell_px is not None:
        width = slide.um_per_px * sample.red_cell_px
        if not _USUAL[0] < width < _USUAL[1]:
            yield f"by the stated scale, red cells are {width:.1f} µm wide, not about {RED_CELL_UM}. Check the scale."
    scale = slide.um_per_px or sample.um_per_px
    if scale is not None and scale > _COARSE:
        yield f"coarse: {scale:.2f} µm per pixel. Scan with a 20x objective or stronger to classify leukocytes."
    if sample.levels is None:
        yield "no cells were seen: glass alone, or not a smear."
    if len(slide.sizes) == 1 and slide.width * slide.height > _MEGAPIXELS * 10**6:
        yield "one level alone: each look at low power reads the whole file. Save it as a pyramid."
    if slide.path.suffix.lower() == ".ndpi" and (size or 0) >= _LARGE_NDPI:
        yield "larger than 4 GB: leukopy reads it; many other programs read only the first 4 GB of an NDPI file."
    if slide.vendor == "TIFF" and not is_slide_file(slide.path):
        yield "as small as a photograph: it can be analysed as a field of view."
