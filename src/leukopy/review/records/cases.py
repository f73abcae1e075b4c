"""Cases, their steps, and the log."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from leukopy.core.settings import Settings
from leukopy.review.records.phrases import PhraseCode
from leukopy.review.records.values import Id, LongText, Number, RequiredText, ShortText


class Status(StrEnum):
    """Status of a case."""

    DRAFT = "draft"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    AMENDING = "amending"
    """Opened again after signing, with a reason; what was signed is kept."""
    AMENDED = "amended"
    """Signed again."""
    VOID = "void"
    """Wrong as a whole, with a reason; kept, and changed no more."""
    ERASED = "erased"
    """A tombstone, which nobody sees."""


class Priority(StrEnum):
    """How urgent a case is."""

    ROUTINE = "routine"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class View(StrEnum):
    """A view of the work list."""

    ALL = "all"
    MINE = "mine"
    """Open cases of the user."""
    TO_REVIEW = "to_review"
    """Drafts whose images are all classified."""
    TO_SIGN = "to_sign"
    """Reviewed, or being amended."""
    ABNORMAL = "abnormal"
    """With a blast or with a value outside its usual range (`Case.abnormal`)."""
    BLASTS = "blasts"


OPEN = frozenset({Status.DRAFT, Status.REVIEWED, Status.AMENDING})
"""A case whose cells may be corrected. A correction brings a reviewed case back to draft."""


class CaseDraft(Settings):
    """A case to be opened; every field may be empty but ``slide``."""

    slide: RequiredText
    patient: ShortText = ""
    specimen_date: date | None = None
    comment: LongText = ""
    age: float | None = Field(default=None, ge=0, le=120)
    """Years."""
    sex: Literal["female", "male"] | None = None
    lymphocytes: float | None = Field(default=None, ge=0, le=2000)
    """10⁹/L."""
    leukocytes: float | None = Field(default=None, ge=0, le=2000)
    """White blood cells, 10⁹/L: gives the absolute counts."""
    leukocytes_corrected: bool = False
    """They hold no erythroblasts: the analyser tells these apart."""
    target: Literal[100, 200, 400] = 100
    """Leukocytes to be counted."""
    priority: Priority = Priority.ROUTINE
    due: date | None = None
    """Day by which the case is to be signed."""


class CaseChange(Settings):
    """Other values for some fields of a case; those left out stay."""

    version: Number
    slide: RequiredText | None = None
    patient: ShortText | None = None
    specimen_date: date | None = None
    comment: LongText | None = None
    age: float | None = Field(default=None, ge=0, le=120)
    lymphocytes: float | None = Field(default=None, ge=0, le=2000)
    leukocytes: float | None = Field(default=None, ge=0, le=2000)
    sex: Literal["female", "male"] | None = None
    leukocytes_corrected: bool | None = None
    target: Literal[100, 200, 400] | None = None
    findings: tuple[PhraseCode, ...] | None = Field(default=None, max_length=100)
    """Codes of findings; they replace those that the case has."""


class Signature(Settings):
    """Who signed which content, and when."""

    revision: int
    part: Literal["first", "second"]
    user: str
    """Full name at the time."""
    at: datetime
    digest: str
    """sha256 of the signed content (`SignedContent`), so that a change is found."""
    entry: int | None = None
    """Number of the log's entry on this signature: the head of the chain when it was given."""
    entry_hash: str | None = None


class SlideView(Settings):
    """Slide check: distance of a slide from the training data (`slides.laboratory_check.SlideDistance`)."""

    distance: float
    """99 of 100 slides of the laboratories of the training stay below 1."""
    nearest: str
    """The nearest laboratory of the training."""
    cells: int
    """Number of cells that the distance is computed from."""
    unlike_training: bool
    """The distance is above 1: expect lower accuracy. Pages and reports show a warning."""
    cells_used: int | None = None
    """Number of cells that the class means were re-estimated from (`slides.survey`); None: they were not."""
    foreign_probability: float | None = None
    """Mean probability that its cells are of another laboratory than the reference; None: unknown."""


class CaseOrder(Settings):
    """The order that a case was opened for."""

    number: RequiredText
    requester: ShortText = ""
    received: datetime


class Case(CaseDraft):
    """One slide of one patient."""

    id: Id
    status: Status
    version: Number
    revision: int
    """1, and one more for each amendment."""
    owner: str
    owner_id: Id | None = None
    """None: signed before cases could be handed over."""
    created: datetime
    changed: datetime
    cells: int
    """Classified cells."""
    failures: int
    """Images that could not be read."""
    corrected: int
    """Cells that a reader gave another class than the model."""
    findings: tuple[PhraseCode, ...] = ()
    """Codes of the laboratory's findings."""
    blasts: int | None = None
    """Counted blasts; None: not counted yet."""
    abnormal: int | None = None
    """Values outside their usual range: shares whose limits are outside too, and absolute counts."""
    model: str | None = None
    """Name and first 12 digits of the sha256 of the cell model; None before the analysis."""
    slide_check: SlideView | None = None
    """None: too few cells, or a model that cannot tell."""
    signatures: tuple[Signature, ...] = ()
    amendment_reason: str | None = None
    void_reason: str | None = None
    order: CaseOrder | None = None
    """None: no laboratory system ordered it."""


class CaseSearch(Settings):
    """A search for cases, sent in a body: addresses never contain a patient's name."""

    text: ShortText = ""
    status: Status | None = None
    view: View = View.ALL
    sort: Literal["changed", "created", "priority", "due", "slide", "patient", "owner", "status", "cells"] = "changed"
    descending: bool = True
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=200)


class CasePage(Settings):
    """Some cases, in the order of the search."""

    cases: tuple[Case, ...]
    total: int
    views: dict[View, int] = Field(default_factory=dict)
    """Number of cases in each view, before the search."""


class CasePlan(Settings):
    """Priority and due date of a case, whatever its status."""

    version: Number
    priority: Priority
    due: date | None = None


class HandOver(Settings):
    """The user who becomes the owner of a case."""

    version: Number
    to: Id


class JobState(StrEnum):
    """State of an analysis."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Settings):
    """An analysis in the background."""

    id: Id
    case_id: Id
    state: JobState
    done: int
    total: int
    message: str = ""
    """What went wrong, for people; of a finished one, that the cluster failed."""
    created: datetime
    changed: datetime


class Refused(Settings):
    """A refused file, with the reason."""

    name: str
    reason: str
    message: str


class OtherCase(Settings):
    """Another case that holds some of the same images, byte for byte."""

    id: Id
    slide: RequiredText
    images: int
    """Of the case at hand that the other holds too."""


class UploadResult(Settings):
    """Result of an upload."""

    added: int
    refused: tuple[Refused, ...]
    repeated: int = 0
    """Images that the case held already, byte for byte, under this or another name: no count holds them again."""
    elsewhere: tuple[OtherCase, ...] = ()
    """Other cases, of those the user may see, that hold images of this case."""
    passed_over: dict[str, int] = Field(default_factory=dict)
    """Files that no one takes for cells, by kind: service files of systems, tables and notes."""
    fields: bool = False
    """The images are photographs of fields, not of single cells."""


class VersionOnly(Settings):
    """A step that is taken on a known version of a case."""

    version: Number


class SignStep(VersionOnly):
    """A signature on a known version of a case."""

    password: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The user's, once more; not needed on a station for one user."""


class Amendment(Settings):
    """Why a signed case is opened again."""

    version: Number
    reason: Annotated[LongText, Field(min_length=3, max_length=1000)]


class VoidCase(Settings):
    """Why a case is void."""

    version: Number
    reason: Annotated[LongText, Field(min_length=3, max_length=1000)]


class OfPatient(Settings):
    """A patient whose cases are erased; in a body, since addresses never contain a patient's name."""

    patient: RequiredText


class VoidPatient(OfPatient):
    """Why all cases of a patient are void."""

    reason: Annotated[LongText, Field(min_length=3, max_length=1000)]


class Erased(Settings):
    """Result of an erasure."""

    cases: int
    images: int


class AuditEntry(Settings):
    """One entry of the append-only audit log."""

    number: int
    at: datetime
    user: str
    action: str
    """A fixed word: ``case.opened``, ``cells.corrected``, ``case.signed`` …"""
    case_id: Id | None
    detail: dict[str, object]
    """No patient data: ids, codes, versions, digests."""
    hash: str


class AuditHead(Settings):
    """An entry of the log, to be kept outside the station."""

    number: Number
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    at: datetime | None = None


class AuditCheck(Settings):
    """Result of verifying the audit log."""

    entries: int
    intact: bool
    problem: str | None = None
    """The first entry that was changed, is missing or was inserted."""
