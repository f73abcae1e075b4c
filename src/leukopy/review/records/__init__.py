"""What the review station says and is told: one closed, typed record for each thing, for store, API and pages alike.

The levels are *case › cell*. A case is one slide of one patient. Everything that a reader may change carries a
``version``; a change names the version it was made on, and is refused when another reader was faster.
"""

from leukopy.review.records.cases import (
    OPEN,
    Amendment,
    AuditCheck,
    AuditEntry,
    Case,
    CaseChange,
    CaseDraft,
    CasePage,
    CaseSearch,
    Job,
    JobState,
    Refused,
    Signature,
    Status,
    UploadResult,
    VersionOnly,
)
from leukopy.review.records.cells import (
    CellComment,
    CellDetail,
    CellList,
    CellRow,
    ClassChoice,
    Correction,
    CorrectionResult,
    Corrections,
    Similar,
)
from leukopy.review.records.counts import (
    Agreement,
    AgreementView,
    DifferentialLine,
    DifferentialView,
    InfluentialCell,
    PatientView,
)
from leukopy.review.records.people import (
    Login,
    Me,
    NewUser,
    Role,
    User,
    UserChange,
)
from leukopy.review.records.signed import (
    SignedContent,
)
from leukopy.review.records.values import (
    Code,
    Id,
    LongText,
    Number,
    RequiredText,
    ShortText,
)

__all__ = [
    "OPEN",
    "Agreement",
    "AgreementView",
    "Amendment",
    "AuditCheck",
    "AuditEntry",
    "Case",
    "CaseChange",
    "CaseDraft",
    "CasePage",
    "CaseSearch",
    "CellComment",
    "CellDetail",
    "CellList",
    "CellRow",
    "ClassChoice",
    "Code",
    "Correction",
    "CorrectionResult",
    "Corrections",
    "DifferentialLine",
    "DifferentialView",
    "Id",
    "InfluentialCell",
    "Job",
    "JobState",
    "Login",
    "LongText",
    "Me",
    "NewUser",
    "Number",
    "PatientView",
    "Refused",
    "RequiredText",
    "Role",
    "ShortText",
    "Signature",
    "SignedContent",
    "Similar",
    "Status",
    "UploadResult",
    "User",
    "UserChange",
    "VersionOnly",
]
