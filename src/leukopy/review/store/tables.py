"""The tables. The levels are *case › cell*; numbers of cells and gestures count within their case."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from leukopy.review.records import DeliveryKind, DeliveryState, JobState, Priority, Role, Route, Status


def storable(text: str) -> str:
    """PostgreSQL stores no NUL, and no database half a surrogate pair: another character stands for them."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time in UTC, which SQLite stores without a zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        """To UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        """With UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Words(sa.types.TypeDecorator[str]):
    """Text from outside, as `storable`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> str | None:
        """To what every database can hold."""
        return value and storable(value)


def _one_of(words: type[StrEnum]) -> sa.Enum:
    """A word of an enumeration, stored as text."""
    return sa.Enum(words, native_enum=False, length=20, values_callable=lambda each: [word.value for word in each])


class Base(DeclarativeBase):
    """Base of all tables."""

    # Constraints are named so that a migration can find them again.
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment(), str: sa.String(), dict[str, Any]: sa.JSON(none_as_null=True)}  # noqa: RUF012


def new_id() -> str:
    """Random, 32 hexadecimal digits."""
    return uuid4().hex


def now() -> datetime:
    """In UTC."""
    return datetime.now(UTC)


class User(Base):
    """A user."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(Words, unique=True)
    full_name: Mapped[str] = mapped_column(Words)
    role: Mapped[Role] = mapped_column(_one_of(Role))
    active: Mapped[bool] = mapped_column(default=True)
    password: Mapped[str | None]
    """argon2; None: cannot log in with a password."""
    created: Mapped[datetime] = mapped_column(default=now)


class Session(Base):
    """A log-in."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """sha256 of the token."""
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"), index=True)
    seen: Mapped[datetime]
    expires: Mapped[datetime]


class Case(Base):
    """One slide of one patient."""

    __tablename__ = "cases"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True, default=new_id)
    slide: Mapped[str] = mapped_column(Words)
    patient: Mapped[str] = mapped_column(Words)
    specimen_date: Mapped[date | None]
    comment: Mapped[str] = mapped_column(Words)
    age: Mapped[float | None]
    lymphocytes: Mapped[float | None]
    leukocytes: Mapped[float | None]
    sex: Mapped[str | None] = mapped_column(sa.String(6))
    leukocytes_corrected: Mapped[bool] = mapped_column(default=False)
    target: Mapped[int]
    search: Mapped[str] = mapped_column(Words)
    """Slide, patient and comment, folded, so that both databases find the same in them."""
    status: Mapped[Status] = mapped_column(_one_of(Status), default=Status.DRAFT, index=True)
    version: Mapped[int] = mapped_column(default=1)
    revision: Mapped[int] = mapped_column(default=1)
    owner_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"), index=True)
    created: Mapped[datetime] = mapped_column(default=now)
    changed: Mapped[datetime] = mapped_column(default=now, index=True)
    cells: Mapped[int] = mapped_column(default=0)
    """Classified ones. Kept here, so that no list of cases counts cells."""
    failures: Mapped[int] = mapped_column(default=0)
    corrected: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    """Images that the model has not seen."""
    model: Mapped[str | None]
    model_sha256: Mapped[str | None]
    appearance: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """A `slides.laboratory_check.AppearanceSum` of the cells that the station classified."""
    slide_check: Mapped[dict[str, Any] | None]
    """A `records.SlideView`."""
    amendment_reason: Mapped[str | None] = mapped_column(Words)
    void_reason: Mapped[str | None] = mapped_column(Words)
    smear: Mapped[dict[str, Any] | None]
    """The `records.SmearFindings` of a reader, and by whom."""
    last_cell: Mapped[int] = mapped_column(default=0)
    """Highest number given to a cell."""
    last_gesture: Mapped[int] = mapped_column(default=0)
    priority: Mapped[Priority] = mapped_column(_one_of(Priority), default=Priority.ROUTINE)
    due: Mapped[date | None] = mapped_column(index=True)
    blasts: Mapped[int | None]
    """Kept here by `store.alarms`, so that no list of cases counts cells; None: not counted yet."""
    abnormal: Mapped[int | None]
    findings: Mapped[str] = mapped_column(default="")
    """Codes joined by ``;``."""

    owner: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    order: Mapped[Order | None] = relationship(lazy="joined")


class Order(Base):
    """The order that a case was opened for."""

    __tablename__ = "orders"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    number: Mapped[str] = mapped_column(Words, unique=True)
    """Of the laboratory system: an order that comes again opens no second case."""
    requester: Mapped[str] = mapped_column(Words)
    digest: Mapped[str] = mapped_column(sa.String(64))
    """sha256 of the order as it came."""
    received: Mapped[datetime] = mapped_column(default=now)


class Share(Base):
    """A reader who may work on another's case."""

    __tablename__ = "shares"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"), primary_key=True, index=True)


class Cell(Base):
    """An image of a case: analysed by the model, failed (``reason``), or pending (neither)."""

    __tablename__ = "cells"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Words)
    digest: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    """Of the file; None: it was refused and not kept."""
    media_type: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    reason: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(Words)
    analysed: Mapped[bool] = mapped_column(default=False)
    code: Mapped[str | None] = mapped_column(sa.String(16))
    """None though analysed: the image holds no single cell."""
    model_code: Mapped[str | None] = mapped_column(sa.String(16))
    confidence: Mapped[float | None]
    flags: Mapped[str] = mapped_column(default="")
    """Joined by ``;``."""
    why: Mapped[str] = mapped_column(default="")
    probabilities: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    attributes: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    comment: Mapped[str] = mapped_column(Words, default="")
    version: Mapped[int] = mapped_column(default=1)
    changed_by: Mapped[str | None] = mapped_column(Words)
    """Full name of the last reader who gave it a class or a comment, or confirmed its class."""
    seen_by: Mapped[str | None] = mapped_column(Words)
    """Full name of the reader who gave it its class, or confirmed it; None: nobody."""
    gesture: Mapped[int | None]
    """The one that gave it its class or confirmed it; None: the model."""
    void_reason: Mapped[str | None] = mapped_column(Words)
    field: Mapped[int | None]
    """Number of the field that shows it; None: the image is the cell."""
    box: Mapped[list[int] | None] = mapped_column(sa.JSON(none_as_null=True))
    """Left, top, width and height in pixels of its field."""
    drawn_by: Mapped[str | None] = mapped_column(Words)
    """Full name of the reader who drew it on its field; None: the detector found it, or the image is the cell."""
    seal: Mapped[str | None] = mapped_column(sa.String(64))
    """Digest of the other columns (`store.seals`)."""


class Field(Base):
    """A photograph of a field of view: searched for cells, failed (``reason``), or pending (neither)."""

    __tablename__ = "fields"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Words)
    digest: Mapped[str] = mapped_column(sa.String(64), index=True)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    reason: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(Words)
    left_out: Mapped[str | None] = mapped_column(Words)
    """Why nothing of it is counted."""
    detections: Mapped[str | None] = mapped_column(sa.String(64))
    """Digest of the file of its rows of ``FIELD_SCHEMA`` and ``OBJECT_SCHEMA``, among the images; None: pending."""
    place: Mapped[list[int] | None] = mapped_column(sa.JSON(none_as_null=True))
    """Left, top, width and height on a whole slide, px of its full resolution; None: a photograph."""


class Overview(Base):
    """The whole slide of a case at low power."""

    __tablename__ = "overviews"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    """Of a PNG."""
    width: Mapped[int]
    """Of the slide, px of its full resolution."""
    height: Mapped[int]


class Gesture(Base):
    """Cells that a reader corrected or confirmed together; the unit of undo."""

    __tablename__ = "gestures"
    __table_args__ = (sa.Index(None, "case_id", "user_id", "state"),)

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(sa.String(6))
    """``done``; ``undone``: can be redone; ``sealed``: neither, for something else was done since, or it was signed."""
    at: Mapped[datetime]
    seal: Mapped[str | None] = mapped_column(sa.String(64))
    """Digest of its cells (`store.seals`)."""


class GestureCell(Base):
    """One cell of a gesture."""

    __tablename__ = "gesture_cells"
    __table_args__ = (
        sa.ForeignKeyConstraint(["case_id", "gesture"], ["gestures.case_id", "gestures.number"]),
        sa.ForeignKeyConstraint(["case_id", "cell"], ["cells.case_id", "cells.number"]),
    )

    case_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    gesture: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cell: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    before: Mapped[str | None] = mapped_column(sa.String(16))
    """Code; None: no class."""
    after: Mapped[str | None] = mapped_column(sa.String(16))
    """The same as ``before`` where a class was confirmed."""
    gesture_before: Mapped[int | None]
    """The gesture that had given the code before; None: the model."""
    seen_before: Mapped[str | None] = mapped_column(Words)
    """``Cell.seen_by`` before the gesture."""


class Signed(Base):
    """The `SignedContent` of a signed revision, as JSON."""

    __tablename__ = "signed_contents"

    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(sa.String(64))
    """sha256 of ``content``."""
    content: Mapped[str] = mapped_column(Words)


class Signature(Base):
    """A signature."""

    __tablename__ = "signatures"
    __table_args__ = (
        sa.ForeignKeyConstraint(["case_id", "revision"], ["signed_contents.case_id", "signed_contents.revision"]),
    )

    case_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    part: Mapped[str] = mapped_column(sa.String(6), primary_key=True)
    """``first`` or ``second``."""
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"))
    full_name: Mapped[str] = mapped_column(Words)
    at: Mapped[datetime]
    digest: Mapped[str] = mapped_column(sa.String(64))


class Job(Base):
    """An analysis in the background."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True, default=new_id)
    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    state: Mapped[JobState] = mapped_column(_one_of(JobState), default=JobState.QUEUED, index=True)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    message: Mapped[str] = mapped_column(Words, default="")
    worker: Mapped[str | None]
    heartbeat: Mapped[datetime | None]
    created: Mapped[datetime] = mapped_column(default=now)
    changed: Mapped[datetime] = mapped_column(default=now)


class Delivery(Base):
    """A result on its way to a receiver; see `store.outbox`."""

    __tablename__ = "deliveries"
    __table_args__ = (sa.Index(None, "state", "next_attempt"),)

    id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    """Message control id; HL7 allows 20 characters."""
    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    revision: Mapped[int]
    route: Mapped[Route] = mapped_column(_one_of(Route))
    kind: Mapped[DeliveryKind] = mapped_column(_one_of(DeliveryKind))
    state: Mapped[DeliveryState] = mapped_column(_one_of(DeliveryState), default=DeliveryState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str] = mapped_column(Words, default="")
    created: Mapped[datetime] = mapped_column(default=now)
    next_attempt: Mapped[datetime] = mapped_column(default=now)
    sender: Mapped[str | None] = mapped_column(sa.String(32))
    """Who is sending it, until ``lease``."""
    lease: Mapped[datetime | None]
    sent: Mapped[datetime | None]


class OwnClass(Base):
    """A class that the laboratory added."""

    __tablename__ = "own_classes"

    code: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Words)
    french: Mapped[str] = mapped_column(Words)
    colour: Mapped[str] = mapped_column(sa.String(7))
    key: Mapped[str] = mapped_column(sa.String(1))
    place: Mapped[str] = mapped_column(sa.String(20))
    created: Mapped[datetime] = mapped_column(default=now)


class Phrase(Base):
    """A comment template or a finding that the laboratory wrote, or wrote anew (`store.phrases`)."""

    __tablename__ = "phrases"

    code: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(7))
    english: Mapped[str] = mapped_column(Words)
    french: Mapped[str] = mapped_column(Words)
    active: Mapped[bool] = mapped_column(default=True)


class Rule(Base):
    """A rule of signing that the laboratory wrote, or wrote anew (`store.rules`)."""

    __tablename__ = "rules"

    code: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    measure: Mapped[str] = mapped_column(sa.String(16))
    unit: Mapped[str] = mapped_column(sa.String(8))
    comparison: Mapped[str] = mapped_column(sa.String(8))
    limit: Mapped[float]
    demand: Mapped[str] = mapped_column(sa.String(13))
    active: Mapped[bool] = mapped_column(default=True)


class Reading(Base):
    """A blind reading: the cells of a case, named by a user who sees no class of theirs."""

    __tablename__ = "readings"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True, default=new_id)
    case_id: Mapped[str] = mapped_column(sa.ForeignKey("cases.id"), index=True)
    revision: Mapped[int]
    """Of the case: a test is compared with its signed content."""
    kind: Mapped[str] = mapped_column(sa.String(6))
    """``second`` or ``test``."""
    state: Mapped[str] = mapped_column(sa.String(9), default="open")
    """``open``, ``finished`` or ``withdrawn``."""
    reader_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"), index=True)
    asked_by: Mapped[str] = mapped_column(Words)
    """Full name."""
    created: Mapped[datetime] = mapped_column(default=now)
    finished: Mapped[datetime | None]
    cells: Mapped[dict[str, Any]]
    """``{"order": numbers}``, shuffled: the order of the gallery tells the classes."""
    answers: Mapped[dict[str, Any]]
    """Code by the number of the cell."""
    others: Mapped[dict[str, Any] | None]
    """Codes of the first reader, or of the signed content, when the reading was finished."""
    settled: Mapped[dict[str, Any]]
    """Code that an adjudicator gave a cell on which the readers disagree."""

    reader: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Entry(Base):
    """One entry of the append-only audit log; see `store.audit`."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    user: Mapped[str] = mapped_column("user_name", Words)
    action: Mapped[str]
    case_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    detail: Mapped[str] = mapped_column(sa.Text)
    """Canonical JSON, as it went into the hash."""
    hash: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    """What was changed, where a state is told: ``case/…``, ``user/…`` or ``class/…`` (`store.seals`)."""
    state: Mapped[str | None] = mapped_column(sa.Text)
    """Canonical JSON of its digests after the change."""


class Head(Base):
    """The head of the log: one row with the number and hash of its last entry."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(sa.String(64))
    seal: Mapped[str] = mapped_column(sa.String(64))


GROWS_ONLY = ("audit", "signed_contents", "signatures")
"""Tables whose rows nobody changes or deletes: triggers refuse it."""
