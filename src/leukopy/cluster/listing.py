"""Inputs of a plan, as a table on disk that is read as a stream: ten million rows need no memory of their own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.storage import ObjectStore, is_uri, open_store, split_uri
from leukopy.core.errors import InputError, ManifestError
from leukopy.core.leftovers import Leftovers
from leukopy.core.progress import Progress
from leukopy.core.service_files import service_kind
from leukopy.core.tables import read_table
from leukopy.fields.inputs import stated_scale
from leukopy.fields.slide_inputs import list_slides
from leukopy.fields.whole_slide import SLIDE_SUFFIXES
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.inputs import list_inputs
from leukopy.inference.listing import ListedFile, empty_slides, list_folder, refuse_beside_slides
from leukopy.inference.rows import printable

ROW_SCHEMA: dict[str, pl.DataType] = {
    "slide": pl.String(),
    "name": pl.String(),  # `cell_id` of a cell; of a field or whole slide, the name of its file
    "path": pl.String(),  # absolute, or a URI; null for a slide without a picture
    "um_per_px": pl.Float64(),  # of a manifest of fields; null where it states none
}
"""One picture to read."""

SMALL_ROWS = 200_000
"""Rows up to which a manifest is read as `analyze` reads it: any encoding, separator and spelling."""
_SMALL_BYTES = 32_000_000
_SPOOL_ROWS = 250_000
_PARTED = frozenset({".mrxs", ".vms", ".vmu", ".dcm"})
"""Whole slides of several files."""

Row = tuple[str, str, str | None, float | None]


@dataclass(frozen=True)
class Listed:
    """Inputs of a plan."""

    rows: pl.LazyFrame
    """``ROW_SCHEMA``, in a fixed order; the rows of a slide need not be neighbours."""
    count: int
    """Number of rows."""
    note: str = ""
    """Other files of the input, which are not read."""


def list_rows(settings: PlanSettings, kind: str, spool: Path, progress: Progress) -> Listed:
    """List the pictures of a plan.

    Args:
        settings: of the plan.
        kind: ``cells``, ``fields`` or ``slide``.
        spool: an empty folder for the table.
        progress: reports the pictures listed.

    Raises:
        InputError: nothing to read, or pictures beside the folders of the slides.
        ManifestError: a manifest without a column or with a wrong value.
        SettingsError: an unknown object store.
    """
    given = settings.input
    if is_uri(given):
        bucket, key = split_uri(given)
        if PurePosixPath(key).suffix.lower() in (".csv", ".parquet"):
            table = spool / f"manifest{PurePosixPath(key).suffix.lower()}"
            parent = open_store(f"{bucket}/{key.rpartition('/')[0]}")
            try:
                parent.fetch(key.rpartition("/")[2], table)
            except FileNotFoundError as error:
                raise InputError(f"{given}: there is no such object. Correct the URI.") from error
            return _streamed(table, parent.uri, kind)
        rows = _of_bucket(given, kind)
        return _spooled(rows, spool, given, progress)
    path = Path(given)
    if path.is_dir() or (kind == "slide" and path.exists() and _is_small(path)):
        notes: list[str] = []
        rows = _of_slides(path, notes) if kind == "slide" else _of_folders(path, notes)
        listed = _spooled(rows, spool, given, progress)
        return Listed(listed.rows, listed.count, "; ".join(notes))
    if not path.exists():
        raise InputError(f"{path}: there is no such folder or manifest. Correct the path.")
    return _small(path, kind) if _is_small(path) else _streamed(path, str(path.resolve().parent), kind)


def _is_small(path: Path) -> bool:
    if path.suffix.lower() == ".parquet":
        try:
            return int(pl.scan_parquet(path).select(pl.len()).collect().item()) <= SMALL_ROWS
        except pl.exceptions.PolarsError:
            return True  # read_table tells what is wrong
    return path.stat().st_size <= _SMALL_BYTES


def _small(path: Path, kind: str) -> Listed:
    """The rows of a manifest as `analyze` lists them."""
    inputs = list_inputs(path)
    if not inputs.slides:
        raise ManifestError(f"{path}: names no slides. Add the column 'slide', or use 'leukopy analyze' for one slide.")
    found: list[Row] = []
    written = read_table(path, {name: name for name in ("path", "um_per_px")}, ("path",)).rows
    for cell, row in zip(inputs.cells, written, strict=True):
        scale = stated_scale(row)
        name = cell.cell_id if kind == "cells" else printable(row.values["path"])
        found.append((cell.slide, name, printable(cell.path), scale))
    return Listed(pl.DataFrame(found, schema=ROW_SCHEMA, orient="row").lazy(), len(found))


def _streamed(path: Path, base: str, kind: str) -> Listed:
    """The rows of a large manifest, or of one in an object store: Parquet, or UTF-8 text separated by commas."""
    rows = pl.scan_parquet(path) if path.suffix.lower() == ".parquet" else pl.scan_csv(path, infer_schema=False)
    try:
        names = set(rows.collect_schema())
        needed = ("path",) if kind == "slide" else ("path", "slide")
        if missing := [name for name in needed if name not in names]:
            raise ManifestError(
                f"{path}: column {', '.join(map(repr, missing))} is missing (found: {', '.join(sorted(names))}). "
                "A manifest of this size is Parquet, or UTF-8 text separated by commas, with exactly these names."
            )
        written = pl.col("path").cast(pl.String)
        slide = pl.col("slide").cast(pl.String) if "slide" in names else written
        wrong = rows.select(
            count=pl.len(),
            paths=(written.is_null() | (written == "")).sum(),
            slides=(slide.is_null() | (slide == "")).sum(),
        ).collect(engine="streaming")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ManifestError(f"{path}: not a table ({str(error).splitlines()[0]}). Write the file again.") from error
    count, paths, slides = wrong.row(0)
    for name, empty in (("path", paths), ("slide", slides)):
        if empty:
            raise ManifestError(f"{path}: {empty:,} of {count:,} rows have no {name}. Fill in the column {name!r}.")
    if not count:
        raise ManifestError(f"{path}: holds no rows below its header. Add one row per image.")
    absolute = written.str.contains(r"^(/|[A-Za-z0-9+.-]+://)")
    source = pl.col("source").cast(pl.String).fill_null("manifest") if "source" in names else pl.lit("manifest")
    derived = pl.concat_str(source, pl.lit("/"), written.str.normalize("NFC").str.strip_chars_start("/"))
    own = pl.col("cell_id").cast(pl.String).replace("", None) if "cell_id" in names else pl.lit(None, pl.String)
    scale = pl.col("um_per_px").cast(pl.Float64) if "um_per_px" in names else pl.lit(None, pl.Float64)
    found = rows.select(
        slide=slide,
        name=pl.coalesce(own, derived) if kind == "cells" else written,
        path=pl.when(absolute).then(written).otherwise(pl.concat_str(pl.lit(f"{base.rstrip('/')}/"), written)),
        um_per_px=scale,
    )
    return Listed(found, int(count))


def _of_folders(top: Path, notes: list[str]) -> Iterator[Row]:
    """The pictures below a folder, one sub-folder after the other; ``notes`` receives the files that are not read."""
    loose, note = _beside(top)
    refuse_beside_slides(top, loose)
    notes += filter(None, [note])
    found = []
    for name in sorted(entry.name for entry in os.scandir(top) if entry.is_dir()):
        if service_kind([name]) is not None:
            continue
        try:
            files, left = list_folder(top / name)
        except OSError:
            yield printable(name), printable(name), printable(str(top / name)), None  # reading it fails with its reason
            found.append(printable(name))
            continue
        if left.note:
            notes.append(f"{printable(name)}: {left.note}")
        slide = printable(name)
        found += [slide] if files else []
        for file in files:
            yield slide, f"{slide}/{file.name}", printable(file.path), None
    for name in empty_slides(top, found):
        yield name, name, None, None


def _beside(top: Path) -> tuple[list[ListedFile], str]:
    """The pictures that lie in a folder itself, and a note on its other files."""
    names = sorted(entry.name for entry in os.scandir(top) if entry.is_file() and service_kind([entry.name]) is None)
    pictures = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    others = Counter(Path(name).suffix.lower() for name in names if name not in set(pictures))
    return [ListedFile(printable(name), str(top / name)) for name in pictures], Leftovers(not_read=others).note


def _of_slides(path: Path, notes: list[str]) -> Iterator[Row]:
    """The whole slides of a folder, list or manifest, as `analyze` lists them."""
    found = list_slides(path, asked=True)
    if found is None:
        raise InputError(f"{path}: holds no whole slide. Give their folder.")
    notes += filter(None, [found.others.note])
    for file in found.files:
        yield file.name, file.name, printable(str(file.path)), file.um_per_px


def _of_bucket(uri: str, kind: str) -> Iterator[Row]:
    """The objects below a prefix, one "folder" after the other."""
    store = open_store(uri)
    assert isinstance(store, ObjectStore)
    suffixes = SLIDE_SUFFIXES if kind == "slide" else IMAGE_SUFFIXES
    if kind == "slide":
        for key in sorted(store.files("")):
            suffix = PurePosixPath(key).suffix.lower()
            if suffix in _PARTED:
                raise InputError(f"{store.uri}/{key}: a slide of several files is read from a disk. Copy it there.")
            if suffix in suffixes and service_kind(key.split("/")) is None:
                yield key, key, f"{store.uri}/{key}", None
        return
    for slide in store.folders():
        if service_kind([slide]) is not None:
            continue
        names = [
            name
            for name in sorted(store.files(slide))
            if PurePosixPath(name).suffix.lower() in suffixes and service_kind(name.split("/")) is None
        ]
        for name in names:
            yield slide, f"{slide}/{name}", f"{store.uri}/{slide}/{name}", None
        if not names:
            yield slide, slide, None, None


def _spooled(rows: Iterable[Row], spool: Path, where: str, progress: Progress) -> Listed:
    """Rows written to disk as they are listed."""
    waiting: list[Row] = []
    count = parts = pictures = 0

    def flush() -> None:
        nonlocal parts
        pl.DataFrame(waiting, schema=ROW_SCHEMA, orient="row").write_parquet(spool / f"rows-{parts:06d}.parquet")
        waiting.clear()
        parts += 1

    for row in rows:
        waiting.append(row)
        count += 1
        pictures += row[2] is not None
        if len(waiting) >= _SPOOL_ROWS:
            flush()
            progress("listing", count, None)
    if not pictures:
        raise InputError(
            f"{where}: holds no picture in the folder of a slide. Give a folder with one sub-folder for each slide; "
            "for the files of whole slides add --as slide."
        )
    flush()
    return Listed(pl.scan_parquet(sorted(spool.glob("rows-*.parquet"))), count)
