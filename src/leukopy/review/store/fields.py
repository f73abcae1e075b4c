"""Photographs of fields of a case: as they arrive, searched, and with the cells that readers draw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.bundle import SlideCheck
from leukopy.fields.stream import Earlier
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.imaging.content import NO_CELL
from leukopy.review.records import Box, Case, DrawnBox, FieldView, SlideOverview, SmearChange, SmearFindings, User
from leukopy.review.records.not_counted import VOID
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.cases import check_version, record
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed, NotFound
from leukopy.review.store.images import ImageStore
from leukopy.review.store.predictions import add_appearance, prediction_columns, use_model
from leukopy.review.store.results import CellImage, ModelFacts, NewImage
from leukopy.slides.field_slide import FieldRows

_PNG = "image/png"


class CellPicture(NamedTuple):
    """The picture of a cell, cut out of its field."""

    png: bytes
    width: int
    """px"""
    height: int


class FieldFile(NamedTuple):
    """A field as the analysis reads it."""

    number: int
    digest: str
    detections: str | None
    """Digest of the file of its rows; None: it waits."""


@dataclass(frozen=True)
class FieldStore:
    """Adds, lists and reads fields; stores what was found on them, and what readers draw."""

    database: Database
    images: ImageStore
    settings: ReviewSettings

    def add(self, user: User, case_id: str, items: Sequence[NewImage]) -> int:
        """Add photographs to a case; one that the case holds under the same name is not added twice.

        Returns:
            Number of new fields.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or the case would hold too many images.
            OutputError: a photograph cannot be written.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)  # before anything is written to the disk
        digests = self.images.add(item.data for item in items)
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            known = sa.select(t.Field.name, t.Field.digest).where(t.Field.case_id == case.id)
            held = {tuple(row) for row in db.execute(known)}
            new = {
                key: item
                for item, digest in zip(items, digests, strict=True)
                if (key := (t.storable(item.name), digest)) not in held
            }
            _check_room(case, len(new), self.settings)
            if new:
                last = db.scalar(sa.select(sa.func.max(t.Field.number)).where(t.Field.case_id == case.id)) or 0
                db.add_all(
                    t.Field(case_id=case.id, number=number, name=name, digest=digest, media_type=item.media_type,
                            width=item.width, height=item.height)
                    for number, ((name, digest), item) in enumerate(new.items(), start=last + 1)
                )  # fmt: skip
                case.pending += len(new)
                touch(case)
                audit.append(db, user, "fields.added", case.id, fields=len(new), last_field=last + len(new))
            return len(new)

    def all(self, user: User, case_id: str) -> tuple[FieldView, ...]:
        """The fields of a case, in order of arrival."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            return tuple(map(_view, db.scalars(_of(case_id))))

    def overview(self, user: User, case_id: str) -> tuple[SlideOverview, str] | None:
        """The whole slide of a case, and the digest of its picture; None: it shows none."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            found = db.get(t.Overview, case_id)
            return None if found is None else (SlideOverview(width=found.width, height=found.height), found.digest)

    def set_places(
        self, user: User, case_id: str, places: Mapping[int, Box], overview: SlideOverview, picture: bytes
    ) -> None:
        """Store the places of fields on their whole slide, with its overview (PNG).

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
            OutputError: the picture cannot be written.
        """
        (digest,) = self.images.add([picture])
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            for number, place in places.items():
                _find(db, case.id, number).place = list(place)
            db.merge(t.Overview(case_id=case.id, digest=digest, **overview.model_dump()))
            touch(case)
            audit.append(db, user, "fields.placed", case.id, fields=len(places))

    def digests(self, case_id: str) -> set[str]:
        """Digests (sha256) of the photographs of a case."""
        with self.database.read() as db:
            return set(db.scalars(sa.select(t.Field.digest).where(t.Field.case_id == case_id)))

    def image(self, user: User, case_id: str, number: int) -> CellImage:
        """Digest and media type of a photograph.

        Raises:
            NotFound: no such case or field.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            field = _find(db, case_id, number)
            return CellImage(field.digest, field.media_type)

    def waiting(self, case_id: str) -> list[tuple[int, str, str]]:
        """Number, name and digest of the fields of a case that wait."""
        with self.database.read() as db:
            query = _of(case_id).where(t.Field.detections.is_(None), t.Field.reason.is_(None))
            return [(one.number, one.name, one.digest) for one in db.scalars(query)]

    def files(self, case_id: str) -> list[FieldFile]:
        """The fields of a case for the analysis, in order of arrival."""
        with self.database.read() as db:
            return [FieldFile(one.number, one.digest, one.detections) for one in db.scalars(_of(case_id))]

    def rows(self, files: Sequence[FieldFile]) -> Earlier:
        """What was found on fields: their rows of ``FIELD_SCHEMA`` and ``OBJECT_SCHEMA``.

        Raises:
            NotFound, Damaged: a file of the image folder is missing, or not what was stored.
        """
        found = [json.loads(self.images.read(one.detections)) for one in files if one.detections]
        fields = [pl.DataFrame([one["field"]], schema=FIELD_SCHEMA) for one in found]
        objects = [pl.DataFrame(one["objects"], schema=OBJECT_SCHEMA) for one in found]
        return Earlier(pl.concat([Earlier().fields, *fields]), pl.concat([Earlier().objects, *objects]))

    def located(self, case_id: str) -> pl.DataFrame:
        """The located cells with their present class: ``cell_id`` of the object, ``fine`` and ``flags``.

        A void cell is none: it has the flag of a picture without a cell.
        """
        with self.database.read() as db:
            columns = sa.select(t.Cell.field, t.Cell.name, t.Cell.code, t.Cell.flags)
            query = columns.where(t.Cell.case_id == case_id, t.Cell.field.is_not(None), t.Cell.analysed)
            rows = [
                (f"{field}#{name.rpartition('#')[2]}", code, ";".join([flags, NO_CELL] if VOID in flags else [flags]))
                for field, name, code, flags in db.execute(query.where(t.Cell.drawn_by.is_(None)))
            ]
        return pl.DataFrame(rows, schema={"cell_id": pl.String, "fine": pl.String, "flags": pl.String}, orient="row")

    def findings(self, user: User, case_id: str) -> tuple[SmearFindings, str | None]:
        """What the reader says of red cells and platelets, and who said it."""
        with self.database.read() as db:
            stored = get_case(db, user, case_id).smear
            return (SmearFindings(), None) if stored is None else (SmearFindings(**stored["findings"]), stored["by"])

    def find(self, user: User, case_id: str, change: SmearChange) -> Case:
        """Store what the reader says of red cells and platelets.

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
            Conflict: the case is no longer at the version named.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            check_version(db, case, change.version)
            case.smear = {"findings": change.findings.model_dump(), "by": user.full_name}
            touch(case)
            audit.append(db, user, "case.smear_read", case.id, version=case.version)
            db.flush()
            return record(db, case)

    def write(
        self,
        case_id: str,
        found: FieldRows,
        pictures: Mapping[str, CellPicture],
        model: ModelFacts,
        check: SlideCheck | None = None,
    ) -> None:
        """Store what was found on fields that waited, and their classified cells. For workers.

        Args:
            case_id: whose fields.
            found: their rows; the name of a field is its number, as text.
            pictures: of the cells, by their ``cell_id``.
            model: the classifier's.
            check: the model's slide check, if it has one.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; another model classified the case; or it would hold too many.
            OutputError: a picture cannot be written.
        """
        names = found.cells.cells["cell_id"].to_list()
        kept = dict(zip(names, self.images.add(pictures[name].png for name in names), strict=True))
        rows = dict(zip(found.fields["field"].to_list(), self.images.add(_files(found)), strict=True))
        with self.database.write() as db:
            case = open_case(db, None, case_id)
            waiting = {str(one.number): one for one in db.scalars(_of(case_id)) if str(one.number) in rows}
            if any(one.detections is not None for one in waiting.values()):
                return  # another worker was faster
            use_model(db, case, found.cells, model)
            for name, field in waiting.items():
                field.detections = rows[name]
            for row in found.fields.filter(pl.col("left_out").is_not_null()).iter_rows(named=True):
                waiting[row["field"]].left_out = row["left_out"]
            for row in found.cells.failures.iter_rows(named=True):
                failed = waiting[row["cell_id"]]
                failed.reason, failed.message, failed.left_out = row["reason"], row["message"], None
            titles = {name: field.name for name, field in waiting.items()}
            cells = _cells(case, found.cells.cells.with_columns(title=pl.col("field").replace(titles)), pictures, kept)
            _check_room(case, len(cells), self.settings)
            db.add_all(cells)
            case.cells += len(cells)
            case.failures += len(found.cells.failures)
            case.pending -= len(waiting)
            numbers = {row["cell_id"]: cell.number for row, cell in
                       zip(found.cells.cells.iter_rows(named=True), cells, strict=True)}  # fmt: skip
            add_appearance(case, _numbered(found, numbers), set(numbers.values()), check)
            touch(case)
            audit.append(db, None, "fields.searched", case.id, fields=len(waiting), cells=len(cells),
                         model=model.sha256)  # fmt: skip

    def draw(self, user: User, case_id: str, number: int, drawn: DrawnBox, picture: CellPicture) -> Case:
        """Add a cell that a reader drew on a field; it waits for the model.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or no such field, or the box lies outside it.
            Conflict: the case is no longer at the version named.
            OutputError: the picture cannot be written.
        """
        (digest,) = self.images.add([picture.png])
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            check_version(db, case, drawn.version)
            field = _find(db, case.id, number)
            check_inside(drawn.box, field.width, field.height)
            _check_room(case, 1, self.settings)
            case.last_cell += 1
            db.add(t.Cell(case_id=case.id, number=case.last_cell, name=field.name, digest=digest, media_type=_PNG,
                          width=picture.width, height=picture.height, field=field.number, box=list(drawn.box),
                          drawn_by=user.full_name))  # fmt: skip
            case.pending += 1
            touch(case)
            audit.append(db, user, "cell.drawn", case.id, cell=case.last_cell, field=field.number, version=case.version)
            db.flush()
            return record(db, case)


def check_inside(box: Box, width: int, height: int) -> None:
    """Raises NotAllowed: the centre of a box does not lie on its field."""
    left, top, across, down = box
    if not (0 <= left + across / 2 < width and 0 <= top + down / 2 < height):
        raise NotAllowed("the middle of the cell must lie on the field.")


def _of(case_id: str) -> sa.Select[t.Field]:
    return sa.select(t.Field).where(t.Field.case_id == case_id).order_by(t.Field.number)


def _find(db: Session, case_id: str, number: int) -> t.Field:
    field = db.get(t.Field, (case_id, number)) if 0 < number < 2**31 else None
    if field is None:
        raise NotFound("the case has no such field.")
    return field


def _view(field: t.Field) -> FieldView:
    return FieldView(
        id=field.number, name=field.name, width=field.width, height=field.height, digest=field.digest,
        searched=field.detections is not None and field.reason is None, reason=field.reason, message=field.message,
        left_out=field.left_out, place=None if field.place is None else cast(Box, tuple(field.place)),
    )  # fmt: skip


def _check_room(case: t.Case, more: int, settings: ReviewSettings) -> None:
    most = settings.limits.cells_per_case
    if case.cells + case.pending + case.failures + more > most:
        raise NotAllowed(f"a case holds at most {most} images; open another case.")


def _files(found: FieldRows) -> list[bytes]:
    """The rows of each field, as they are kept."""
    objects = found.objects.partition_by("field", as_dict=True)
    none = found.objects.clear()
    return [
        json.dumps({"field": row, "objects": objects.get((row["field"],), none).to_dict(as_series=False)}).encode()
        for row in found.fields.iter_rows(named=True)
    ]


def _cells(
    case: t.Case, rows: pl.DataFrame, pictures: Mapping[str, CellPicture], digests: Mapping[str, str]
) -> list[t.Cell]:
    """New cells of a case, judged."""
    cells = []
    for row in rows.iter_rows(named=True):
        case.last_cell += 1
        name = row["cell_id"]
        picture = pictures[name]
        cells.append(
            t.Cell(case_id=case.id, number=case.last_cell, name=_title(row), digest=digests[name], media_type=_PNG,
                   width=picture.width, height=picture.height, field=int(row["field"]), box=_box(row),
                   **prediction_columns(row))
        )  # fmt: skip
    return cells


def _title(row: Mapping[str, Any]) -> str:
    """The file of its field, and its place among the objects found there."""
    return f"{row['title']}#{row['cell_id'].partition('#')[2]}"


def _box(row: Mapping[str, Any]) -> list[int]:
    return [round(row[f"box_{name}"]) for name in ("x", "y", "width", "height")]


def _numbered(found: FieldRows, numbers: Mapping[str, int]) -> Any:
    """Predictions whose cells are named by their numbers."""
    cells = found.cells.cells.with_columns(pl.col("cell_id").replace_strict(numbers, return_dtype=pl.String))
    return type(found.cells)(cells, found.cells.failures, found.cells.appearance)
