"""The cells of a case: images as they arrive, and the analysed cells that readers see."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from leukopy.review.attention import Attention, Judged, attention
from leukopy.review.records import CellDetail, CellRow, ClassChoice, OtherCase, Refused, User
from leukopy.review.records.not_counted import NAMES
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch, visible
from leukopy.review.store.classes import classes
from leukopy.review.store.database import RANKED, Database
from leukopy.review.store.errors import NotAllowed, NotFound
from leukopy.review.store.eye_counts import has_eye_counts
from leukopy.review.store.images import ImageStore
from leukopy.review.store.results import CellImage, NewImage

_COLUMNS = (
    t.Cell.number, t.Cell.name, t.Cell.code, t.Cell.model_code, t.Cell.confidence, t.Cell.flags,
    t.Cell.comment, t.Cell.version, t.Cell.changed_by, t.Cell.seen_by, t.Cell.void_reason,
    t.Cell.field, t.Cell.box, t.Cell.drawn_by,
)  # fmt: skip
_NAMES = ("id", *(column.key for column in _COLUMNS[1:]))
"""Their names in `CellRow`."""
_HIGHEST = 2**31 - 1
_RANKED_CASES = 64
"""Cases whose ranks are kept in memory."""


@dataclass(frozen=True)
class CellStore:
    """Adds images to cases and reads their cells."""

    database: Database
    images: ImageStore
    settings: ReviewSettings

    def add_images(self, user: User, case_id: str, items: Sequence[NewImage]) -> int:
        """Add images to a case; an image that the case holds under the same name is not added twice.

        Returns:
            Number of new images.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or the case would hold too many images.
            OutputError: an image cannot be written.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)  # before anything is written to the disk
        digests = self.images.add(item.data for item in items)
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            if has_eye_counts(db, case.id):
                raise NotAllowed("the cells of this case were counted by eye: open another case for images.")
            new = _without_known(db, case.id, items, digests)
            most = self.settings.limits.cells_per_case
            if case.cells + case.pending + case.failures + len(new) > most:
                raise NotAllowed(f"a case holds at most {most} images; open another case.")
            if new:
                db.add_all(
                    t.Cell(case_id=case.id, number=number, name=name, digest=digest, media_type=item.media_type,
                           width=item.width, height=item.height)
                    for number, ((name, digest), item) in enumerate(new.items(), start=case.last_cell + 1)
                )  # fmt: skip
                case.last_cell += len(new)
                case.pending += len(new)
                touch(case)
                audit.append(db, user, "images.added", case.id, images=len(new), last_cell=case.last_cell)
            return len(new)

    def add_failures(self, user: User, case_id: str, items: Sequence[Refused]) -> None:
        """List refused files among the failures of a case.

        Raises:
            NotFound, NotAllowed: as `access.open_case`.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            query = sa.select(t.Cell.name, t.Cell.reason).where(t.Cell.case_id == case.id, t.Cell.reason.is_not(None))
            listed = {tuple(row) for row in db.execute(query)}
            new = {
                (t.storable(item.name), item.reason): item
                for item in items
                if (t.storable(item.name), item.reason) not in listed
            }
            if new:
                db.add_all(
                    t.Cell(case_id=case.id, number=number, name=item.name, reason=item.reason, message=item.message)
                    for number, item in enumerate(new.values(), start=case.last_cell + 1)
                )
                case.last_cell += len(new)
                case.failures += len(new)
                touch(case)
                audit.append(db, user, "images.refused", case.id, images=len(new))

    def all(self, user: User, case_id: str) -> tuple[CellRow, ...]:
        """The analysed cells of a case: by class in display order, then those not counted; least certain first."""
        return self.with_classes(user, case_id)[0]

    def with_classes(self, user: User, case_id: str) -> tuple[tuple[CellRow, ...], tuple[ClassChoice, ...]]:
        """As `all`, and the classes that a reader may give, as they stood at the same moment."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            known, rows = classes(db), all_rows(db, case_id)
            rank = {group: place for place, group in enumerate([*(choice.code for choice in known), *NAMES])}
            rows.sort(key=lambda row: (rank[row.not_counted or str(row.code)], row.confidence or 0, row.id))
            return tuple(rows), known

    def failures(self, user: User, case_id: str) -> tuple[Refused, ...]:
        """Images of a case that were refused or could not be classified, with the reason."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            rows = [
                row
                for table in (t.Cell, t.Field)
                for row in db.execute(
                    sa.select(table.name, table.reason, table.message)
                    .where(table.case_id == case_id, table.reason.is_not(None))
                    .order_by(table.number)
                )
            ]
            return tuple(Refused(name=name, reason=str(why), message=message or "") for name, why, message in rows)

    def elsewhere(self, user: User, case_id: str) -> tuple[OtherCase, ...]:
        """Other cases with images of a case, byte for byte; of those that the user may see, most images first.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            own = sa.select(t.Cell.digest).where(t.Cell.case_id == case_id, t.Cell.digest.is_not(None))
            images = sa.func.count(t.Cell.digest.distinct())
            query = (
                sa.select(t.Case.id, t.Case.slide, images)
                .join(t.Cell, t.Cell.case_id == t.Case.id)
                .where(t.Cell.digest.in_(own), t.Case.id != case_id, visible(user))
                .group_by(t.Case.id, t.Case.slide)
                .order_by(images.desc(), t.Case.id)
            )
            return tuple(OtherCase(id=key, slide=slide, images=number) for key, slide, number in db.execute(query))

    def detail(self, user: User, case_id: str, number: int) -> CellDetail:
        """All data of a cell.

        Raises:
            NotFound: no such case or cell.
        """
        with self.database.read() as db:
            case = get_case(db, user, case_id)
            cell = find_cell(db, case_id, number, whole=True)
            (row,) = rows_of(db, case, [cell])
            return CellDetail(
                **row.model_dump(),
                width=cell.width or 0,
                height=cell.height or 0,
                probabilities=cell.probabilities or {},
                why=cell.why,
                attributes={name: (value, chance) for name, (value, chance) in (cell.attributes or {}).items()},
                micrometres_per_pixel=self.settings.micrometres_per_pixel,
            )

    def pictures(self, user: User, case_id: str) -> dict[int, str]:
        """sha256 of the picture of each analysed cell of a case, by its id."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            query = sa.select(t.Cell.number, t.Cell.digest).where(t.Cell.case_id == case_id, t.Cell.analysed)
            stored = query.where(t.Cell.digest.is_not(None)).order_by(t.Cell.number)  # none of a cell counted by eye
            return {number: str(digest) for number, digest in db.execute(stored)}

    def image(self, user: User, case_id: str, number: int) -> CellImage:
        """Digest and media type of the image of a cell.

        Raises:
            NotFound: no such case or cell.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            cell = find_cell(db, case_id, number)
            if cell.digest is None:
                raise NotFound("the cell was counted by eye: it has no picture.")
            return CellImage(str(cell.digest), str(cell.media_type))

    def path(self, user: User, case_id: str, number: int) -> Path:
        """File of the image of a cell.

        Raises:
            NotFound: no such case or cell.
        """
        return self.images.path(self.image(user, case_id, number).digest)


def _without_known(
    db: Session, case_id: str, items: Sequence[NewImage], digests: Sequence[str]
) -> dict[tuple[str, str | None], NewImage]:
    """New images by name and digest; names as the database stores them (`tables.storable`)."""
    stored = {tuple(row) for row in db.execute(sa.select(t.Cell.name, t.Cell.digest).where(t.Cell.case_id == case_id))}
    new: dict[tuple[str, str | None], NewImage] = {}
    for item, digest in zip(items, digests, strict=True):
        key = (t.storable(item.name), digest)
        if key not in stored:
            new.setdefault(key, item)
    return new


def all_rows(db: Session, case_id: str) -> list[CellRow]:
    """The analysed cells of a case, each with its place in the order of the review."""
    query = sa.select(*_COLUMNS).where(t.Cell.case_id == case_id, t.Cell.analysed).order_by(t.Cell.number)
    found = db.execute(query).all()
    ranked = _attention(db, case_id, len(found))
    return [_row(values, ranked.get(values[0])) for values in found]


def _attention(db: Session, case_id: str, cells: int) -> Mapping[int, Attention]:
    """By the number of the cell. The model's judgement of a cell never changes, so that it is read once."""
    known: OrderedDict[tuple[str, int], Mapping[int, Attention]] = db.info[RANKED]
    found = known.get((case_id, cells))
    if found is None:
        columns = (t.Cell.number, t.Cell.model_code, t.Cell.flags, t.Cell.probabilities, t.Cell.attributes)
        query = sa.select(*columns).where(t.Cell.case_id == case_id, t.Cell.analysed).order_by(t.Cell.number)
        judged = [
            Judged(number, code, tuple(flags.split(";")), probabilities or {}, attributes or {})
            for number, code, flags, probabilities, attributes in db.execute(query)
        ]
        found = known[case_id, cells] = attention(judged)
        if len(known) > _RANKED_CASES:
            known.popitem(last=False)
    return found


def find_cell(db: Session, case_id: str, number: int, *, whole: bool = False) -> t.Cell:
    """One analysed cell.

    Raises:
        NotFound: there is none of this number.
    """
    options = [undefer(t.Cell.probabilities), undefer(t.Cell.attributes)] if whole else []
    cell = db.get(t.Cell, (case_id, number), options=options) if 0 < number <= _HIGHEST else None
    if cell is None or not cell.analysed:
        raise NotFound(f"the case has no cell {number}." if abs(number) <= _HIGHEST else "the case has no such cell.")
    return cell


def rows_of(db: Session, case: t.Case, cells: Iterable[t.Cell]) -> tuple[CellRow, ...]:
    """Cells of a case as the gallery shows them."""
    ranked = _attention(db, case.id, case.cells)
    values = ([getattr(cell, column.key) for column in _COLUMNS] for cell in cells)
    return tuple(_row(one, ranked.get(one[0])) for one in values)


def _row(values: Iterable[Any], ranked: Attention | None) -> CellRow:
    """A row from the values of ``_COLUMNS``."""
    named = dict(zip(_NAMES, values, strict=True))
    named |= {"look": ranked.reasons if ranked else (), "rank": ranked and ranked.rank}
    named["flags"] = tuple(named["flags"].split(";")) if named["flags"] else ()
    if named["seen_by"] is None and named["code"] != named["model_code"]:
        named["seen_by"] = named["changed_by"]  # corrected before cells could be confirmed
    return CellRow(**named)
