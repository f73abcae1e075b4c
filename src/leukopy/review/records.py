"""What the review station says and is told: one closed, typed record for each thing, for store, API and pages alike.

The levels are *case › cell*. A case is one slide of one patient. Everything that a reader may change carries a
``version``; a change names the version it was made on, and is refused when another reader was faster.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from leukopy.core.settings import Settings

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""Random; says nothing of a patient, so that it may stand in an address."""
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,15}$")]
"""Of a class: fine, coarse, outside the taxonomy, or the laboratory's own."""
# Control characters have no place in text for people, and PostgreSQL stores no NUL.
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RequiredText = Annotated[ShortText, Field(min_length=1)]
LongText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]
Number = Annotated[int, Field(ge=0, lt=2**31)]
"""Of a cell, or a version: what a database's integer holds."""


class Role(StrEnum):
    """What a user may do; each may do what those before may."""

    READER = "reader"
    """Reads and corrects the cases that are theirs or shared with them, and marks them reviewed."""
    REVIEWER = "reviewer"
    """Reads all cases, signs and amends."""
    ADMINISTRATOR = "administrator"
    """Keeps users, classes and the audit log."""


class Status(StrEnum):
    """Where a case stands."""

    DRAFT = "draft"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    AMENDING = "amending"
    """Opened again after signing, with a reason; what was signed is kept."""
    AMENDED = "amended"
    """Signed again."""


OPEN = frozenset({Status.DRAFT, Status.REVIEWED, Status.AMENDING})
"""A case whose cells may be corrected. A correction brings a reviewed case back to draft."""


class User(Settings):
    """Who works here."""

    id: Id
    name: ShortText
    """For logging in."""
    full_name: ShortText
    """As it stands under a signature."""
    role: Role
    active: bool = True


class CaseDraft(Settings):
    """A case to be opened; every field may be empty but ``slide``."""

    slide: RequiredText
    patient: ShortText = ""
    specimen_date: date | None = None
    comment: LongText = ""
    age: float | None = Field(default=None, ge=0, le=120)
    """Years."""
    lymphocytes: float | None = Field(default=None, ge=0, le=2000)
    """10⁹/L."""
    leukocytes: float | None = Field(default=None, ge=0, le=2000)
    """White blood cells, 10⁹/L: gives the absolute counts."""
    target: Literal[100, 200] = 100
    """Leukocytes to be counted."""


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
    target: Literal[100, 200] | None = None


class Signature(Settings):
    """Who signed which content, and when."""

    revision: int
    part: Literal["first", "second"]
    user: str
    """Full name at the time."""
    at: datetime
    digest: str
    """sha256 of the signed content (`SignedContent`), so that a change is found."""


class Case(CaseDraft):
    """One slide of one patient."""

    id: Id
    status: Status
    version: Number
    revision: int
    """1, and one more for each amendment."""
    owner: str
    created: datetime
    changed: datetime
    cells: int
    """Classified cells."""
    failures: int
    """Images that could not be read."""
    corrected: int
    """Cells that a reader gave another class than the model."""
    model: str | None = None
    """Name and first 12 digits of the sha256 of the cell model; None before the analysis."""
    signatures: tuple[Signature, ...] = ()
    amendment_reason: str | None = None


class CaseSearch(Settings):
    """Which cases. Sent in a body: a patient's name never stands in an address."""

    text: ShortText = ""
    status: Status | None = None
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=200)


class CasePage(Settings):
    """Some cases, latest change first."""

    cases: tuple[Case, ...]
    total: int


class JobState(StrEnum):
    """How far an analysis is."""

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
    """What went wrong, for people."""
    created: datetime
    changed: datetime


class Refused(Settings):
    """A file that was not taken, and why."""

    name: str
    reason: str
    message: str


class UploadResult(Settings):
    """What became of some files."""

    added: int
    refused: tuple[Refused, ...]


class CellRow(Settings):
    """A cell as the gallery needs it."""

    id: int
    name: str
    """Of the file."""
    code: Code
    """The class that counts: the reader's, or the model's where no reader changed it."""
    model_code: Code
    confidence: float
    """Calibrated probability of the model's class."""
    flags: tuple[str, ...] = ()
    comment: LongText = ""
    version: Number
    changed_by: str | None = None


class Similar(Settings):
    """A cell that looks alike."""

    code: Code
    similarity: float
    """Cosine of the embeddings, -1 to 1."""
    image: str | None
    """Address of its picture; None where only its embedding is known."""
    source: str


class CellDetail(CellRow):
    """All that is known of a cell."""

    width: int
    height: int
    probabilities: dict[Code, float]
    """Of the fine classes."""
    why: str
    """The cell in words; empty where the model judges no attributes."""
    attributes: dict[str, tuple[str, float]]
    """Value and its calibrated probability by attribute."""
    micrometres_per_pixel: float | None = None
    """None where unknown: then no scale bar is drawn."""


class Correction(Settings):
    """One cell's other class."""

    cell: Number
    version: Number
    code: Code


class Corrections(Settings):
    """One gesture: all of them or none."""

    changes: tuple[Correction, ...] = Field(min_length=1, max_length=5000)


class CellComment(Settings):
    """A remark on a cell."""

    version: Number
    comment: LongText


class DifferentialLine(Settings):
    """One line of the count."""

    code: str
    name: str
    french: str
    count: int
    percent: float | None
    """Of the leukocytes, or per 100 leukocytes."""
    low: float | None
    """Exact 95 % limits, same unit."""
    high: float | None
    reference: tuple[float, float] | None = None
    """%."""
    flag: Literal["L", "N", "H"] | None = None
    beyond_error: bool = False
    sums: tuple[str, ...] = ()
    absolute: float | None = None
    """10⁹/L; None without a leukocyte count."""
    absolute_reference: tuple[float, float] | None = None
    absolute_flag: Literal["L", "N", "H"] | None = None


class DifferentialView(Settings):
    """The count of a case as it stands."""

    cells: int
    leukocytes: int
    target: int
    lines: tuple[DifferentialLine, ...]
    beside: tuple[DifferentialLine, ...]
    """Per 100 leukocytes."""
    outside: tuple[DifferentialLine, ...]
    """Plain counts: percent and limits are None."""
    notes: tuple[str, ...]
    reference_name: str
    total: DifferentialLine | None = None
    """Leukocytes of the blood as entered (only an absolute count); None where none was entered."""


class CorrectionResult(Settings):
    """What a gesture, its undoing or redoing left behind."""

    case: Case
    cells: tuple[CellRow, ...]
    """Those that changed, as they are now."""
    differential: DifferentialView
    can_undo: bool
    can_redo: bool


class CellList(Settings):
    """The gallery of a case: in display order of the classes, least certain first."""

    case: Case
    cells: tuple[CellRow, ...]
    failures: tuple[Refused, ...]
    differential: DifferentialView
    can_undo: bool
    can_redo: bool


class ClassChoice(Settings):
    """A class that a reader may give."""

    code: Code
    name: ShortText
    french: ShortText
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]?$")]
    """The key that gives it; empty: none."""
    place: Literal["differential", "per_100_leukocytes", "outside"]
    own: bool = False
    """Defined by the laboratory."""


class VersionOnly(Settings):
    """A step that is taken on a known version of a case."""

    version: Number


class Amendment(Settings):
    """Why a signed case is opened again."""

    version: Number
    reason: Annotated[LongText, Field(min_length=3, max_length=1000)]


class InfluentialCell(Settings):
    """A cell that weighed much in a patient's result."""

    cell: int
    influence: float
    """Log-odds that it adds towards tumoral."""


class PatientView(Settings):
    """Reactive or tumoral lymphocytosis, for a case with age and lymphocyte count."""

    probability: float
    """Of a tumoral cause."""
    threshold: float
    operating_point: str
    sensitivity: float
    specificity: float
    decision: Literal["tumoral", "reactive"]
    low: float | None
    high: float | None
    flags: tuple[str, ...]
    """In words."""
    flag_words: tuple[str, ...] = ()
    """The fixed word of each flag (`inference.patients.Flag`), for pages in other languages."""
    clinical_share: float
    """Log-odds that age and count add."""
    cells: tuple[InfluentialCell, ...]
    lymphocytes_read: int
    model: str


class AuditEntry(Settings):
    """One line of the log that only grows."""

    number: int
    at: datetime
    user: str
    action: str
    """A fixed word: ``case.opened``, ``cells.corrected``, ``case.signed`` …"""
    case_id: Id | None
    detail: dict[str, object]
    """No patient data: ids, codes, versions, digests."""
    hash: str


class AuditCheck(Settings):
    """Whether the log is what was written."""

    entries: int
    intact: bool
    problem: str | None = None
    """Which entry was changed, is missing or was put in."""


class Agreement(Settings):
    """Model and reader on one class."""

    code: str
    name: str
    french: str
    reader: int
    """Cells that the reader gave this class."""
    model: int
    both: int
    recall: float | None
    """Of the reader's cells, those that the model found."""
    precision: float | None


class AgreementView(Settings):
    """Model against reader, over one case or all signed ones."""

    cases: int
    cells: int
    raw: float | None
    """Share of cells on which both agree."""
    raw_low: float | None
    raw_high: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    classes: tuple[Agreement, ...]
    confusion: tuple[tuple[str, str, int], ...]
    """Reader's code, model's code, cells; most frequent disagreements first."""


class NewUser(Settings):
    """A user to be added."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,49}$")]
    full_name: RequiredText
    role: Role
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)]


class UserChange(Settings):
    """Other values for some fields of a user."""

    full_name: RequiredText | None = None
    role: Role | None = None
    active: bool | None = None
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)] | None = None


class Login(Settings):
    """Name and password."""

    name: ShortText
    password: Annotated[str, StringConstraints(max_length=200)]


class Me(Settings):
    """Who is logged in, and what their page must send back."""

    user: User
    csrf: str
    """To be sent as the header ``X-CSRF-Token`` with every request that changes something."""
    single_user: bool
    expires: datetime


class SignedContent(Settings):
    """What a signature is given for; kept whole, so that every report of a revision is made from the same numbers."""

    case: Case
    """As it was when the first reader signed (without the signatures)."""
    differential: DifferentialView
    cells: tuple[CellRow, ...]
    agreement: AgreementView
    patient: PatientView | None
    model: str
    model_sha256: str
    leukopy: str
    """Version."""
