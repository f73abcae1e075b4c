"""Imports the fields of a result of ``leukopy analyze``, what was found on them, and their cells.

A photograph is kept as its file; a page of a file and a region of a whole slide, as the picture that was analysed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.core.progress import Progress, counted, silent
from leukopy.fields.field import FieldInput, Region
from leukopy.fields.locate import cut_again
from leukopy.fields.read import read_field
from leukopy.fields.tables import FIELDS_FILE, OBJECTS_FILE
from leukopy.fields.whole_slide import opened
from leukopy.imaging.decode import check_image
from leukopy.inference.rows import FAILURE_SCHEMA, Predictions
from leukopy.review.analysis_result import Run
from leukopy.review.field_search import png
from leukopy.review.records import Box, Refused, SlideOverview, UploadResult, User
from leukopy.review.settings import Limits
from leukopy.review.store import CellPicture, NewImage, Store
from leukopy.review.uploads import Taken, Upload, keep, shown, unpack
from leukopy.slides.field_slide import FieldRows
from leukopy.workflows.whole_slide_run import OVERVIEW_FILE


def import_fields(
    store: Store, user: User, case_id: str, found: tuple[Run, pl.DataFrame], progress: Progress = silent
) -> UploadResult:
    """Add the fields of a finished analysis to a case, with their cells and classes; no model runs.

    A moved or changed file is refused, with its name and reason, and its cells with it. Of a whole slide the case keeps
    the overview and the place of each field too.

    Args:
        store: where to.
        user: who acts.
        case_id: whose fields they become.
        found: the analysis, and its classified cells.
        progress: called with the number of fields that were copied.

    Raises:
        MissingExtraError: a whole slide needs the extra ``slides``.
        NotFound, NotAllowed: of the store; or the case was begun with another model.
    """
    run, cells = found
    folder = run.folder
    fields, objects = pl.read_parquet(folder / FIELDS_FILE), pl.read_parquet(folder / OBJECTS_FILE)
    readable = fields.filter(pl.col("digest").is_not_null())
    kept: dict[str, str] = {}
    files = counted(_files(readable, store.settings.limits), progress, "copying", len(readable))
    result = keep(store, user, case_id, _noted(files, kept), "fields")
    waiting = {(name, digest): number for number, name, digest in store.fields.waiting(case_id)}
    numbers = {
        name: str(waiting[key])
        for name in readable["field"]
        if (key := (shown(name), kept.get(shown(name)))) in waiting
    }
    rows = FieldRows(
        _renamed(readable, numbers),
        _renamed(objects, numbers),
        Predictions(_renamed(cells, numbers), pl.DataFrame(schema=FAILURE_SCHEMA)),
    )
    digests = {str(one.number): one.digest for one in store.fields.files(case_id)}
    paths = {number: str(store.images.path(digest)) for number, digest in digests.items()}
    store.fields.write(case_id, rows, dict(_pictures(rows.cells.cells, paths)), run.model)
    _place(store, user, case_id, folder, rows.fields)
    return result


def _noted(taken: Iterable[Taken], digests: dict[str, str]) -> Iterator[Taken]:
    """Note the digest of what is kept of each field, by its name."""
    for one in taken:
        if isinstance(one, NewImage):
            digests[one.name] = hashlib.sha256(one.data).hexdigest()
        yield one


def _files(fields: pl.DataFrame, limits: Limits) -> Iterator[Taken]:
    """What is kept of each field of an analysis."""
    for row in fields.iter_rows(named=True):
        if row["page"] is None and row["slide_x"] is None:
            yield from as_analysed([(row["field"], row["path"], row["digest"])], limits)
        else:
            yield _part(row)


def _part(row: Mapping[str, Any]) -> Taken:
    """A part of a larger file as it was analysed."""
    name, place = row["field"], _place_of(row)
    if not Path(row["path"]).exists():
        return _gone(name)
    try:
        field = read_field(FieldInput(name, row["path"], page=row["page"], region=place and Region(*place)))
    except ImageError as error:
        return Refused(name=shown(name), reason=error.reason, message=str(error))
    if field.digest != row["digest"]:
        return _changed(name)
    picture = png(Image.fromarray(field.pixels))
    return NewImage(shown(name), picture.png, picture.width, picture.height, "image/png")


def _place_of(row: Mapping[str, Any]) -> Box | None:
    """Where a field lies on its whole slide; None: it is not of one."""
    sides = (row["slide_x"], row["slide_y"], row["slide_width"], row["slide_height"])
    return None if row["slide_x"] is None else sides


def _place(store: Store, user: User, case_id: str, folder: Path, fields: pl.DataFrame) -> None:
    """Store where the fields of a whole slide lie on its overview."""
    rows = list(fields.iter_rows(named=True))
    places = {int(row["field"]): place for row in rows if (place := _place_of(row)) is not None}
    if not places:
        return
    slide = opened(Path(rows[0]["path"]))
    picture = (folder / OVERVIEW_FILE).read_bytes()
    check_image(picture, OVERVIEW_FILE)
    size = SlideOverview(width=slide.width, height=slide.height)
    store.fields.set_places(user, case_id, places, size, picture)


def as_analysed(files: Iterable[tuple[str, str, str]], limits: Limits) -> Iterator[Taken]:
    """The files of an analysis, each refused where it is no longer the one that was analysed.

    Args:
        files: name, path and SHA-256 of each.
        limits: of an upload.
    """
    for name, path, digest in files:
        try:
            with Path(path).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                    yield _changed(name)
                    continue
                stream.seek(0)
                yield from unpack([Upload(name, stream)], limits)
        except OSError:
            yield _gone(name)


def _changed(name: str) -> Refused:
    message = f"{shown(name)}: is no longer the file that was analysed. Analyse the slide again."
    return Refused(name=shown(name), reason="changed", message=message)


def _gone(name: str) -> Refused:
    message = f"{shown(name)}: is no longer where it was. Put it back, or analyse the slide again."
    return Refused(name=shown(name), reason="not_found", message=message)


def _renamed(rows: pl.DataFrame, numbers: Mapping[str, str]) -> pl.DataFrame:
    """The rows of the fields that were taken; fields and cells are named by the number of the field in its case."""
    own = rows.filter(pl.col("field").is_in(list(numbers)))
    cells = [_cell(name, numbers) for name in ("cell_id", "same_as") if name in own.columns]
    return own.with_columns(_number(pl.col("field"), numbers), *cells)


def _cell(name: str, numbers: Mapping[str, str]) -> pl.Expr:
    """The name of a cell: its field, and its place there; null without a cell."""
    field, place = (pl.col(name).str.extract(pattern) for pattern in (r"^(.*)#cell=\d+$", r"#cell=(\d+)$"))
    return pl.concat_str(_number(field, numbers), pl.lit("#cell="), place).alias(name)


def _number(field: pl.Expr, numbers: Mapping[str, str]) -> pl.Expr:
    return field.replace_strict(numbers, default=None, return_dtype=pl.String)


def _pictures(cells: pl.DataFrame, paths: Mapping[str, str]) -> Iterator[tuple[str, CellPicture]]:
    """The pictures of cells, cut out of their fields again; each field is read once, from its path."""
    columns = ("cell_id", "width", "box_x", "box_y", "box_width", "box_height")
    for (field,), own in cells.group_by("field", maintain_order=True):
        pixels = read_field(FieldInput("", paths[str(field)])).pixels
        for name, side, *box in own.select(columns).iter_rows():
            yield name, png(cut_again(pixels, np.array(box, np.float32), side))
