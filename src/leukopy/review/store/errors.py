"""Errors of the store.

::

    LeukopyError
    └── StoreError
        ├── NotFound       there is no such thing, or this user may not know of it
        ├── Forbidden      this user may not do this
        ├── NotAllowed     nobody may do this now: the status of the case, or the content, forbids it
        ├── AlreadyExists  the name is taken
        ├── Conflict       another reader was faster; carries what is there now
        ├── Damaged        what is stored is not what was written
        └── Unavailable    the database is away, or another program holds it; nothing was stored

No message holds patient data (names, dates, comments, file names): they may be logged.
"""

from __future__ import annotations

from leukopy.core.errors import LeukopyError
from leukopy.review.records import Case, CellRow


class StoreError(LeukopyError):
    """The store refuses."""


class NotFound(StoreError):  # noqa: N818  reads as what happened
    """There is no such thing, or this user may not know of it."""


class Forbidden(StoreError):  # noqa: N818
    """This user may not do this."""


class NotAllowed(StoreError):  # noqa: N818
    """Nobody may do this now."""


class AlreadyExists(StoreError):  # noqa: N818
    """The name is taken."""


class Conflict(StoreError):  # noqa: N818
    """Another reader was faster."""

    def __init__(self, message: str, current: tuple[CellRow, ...] | Case | None = None) -> None:
        super().__init__(message)
        self.current = current
        """What is there now."""


class Damaged(StoreError):  # noqa: N818
    """What is stored is not what was written."""


class Unavailable(StoreError):  # noqa: N818
    """The database is away, or another program holds it; nothing was stored."""
