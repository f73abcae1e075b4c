"""The error of a result that did not arrive."""

from __future__ import annotations

from leukopy.core.errors import LeukopyError


class NotTakenError(LeukopyError):
    """A receiver did not take a result."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused
        """It would refuse it again: somebody must look."""
