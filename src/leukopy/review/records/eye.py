"""Cells that a reader counts by eye at the microscope, without pictures or a model."""

from __future__ import annotations

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.review.records.cases import Case
from leukopy.review.records.counts import DifferentialView
from leukopy.review.records.values import Code, Id

BY_EYE = "by_eye"
"""The flag of a cell that was counted by eye."""


class Tally(Settings):
    """Some keys of a count by eye, in the order in which they were pressed: all of them or none."""

    key: Id
    """Of this part of the count: it is stored once, however often it is sent."""
    steps: tuple[Code | None, ...] = Field(min_length=1, max_length=500)
    """The class of each cell; None: the user's last cell is taken back."""


class TallyView(Settings):
    """A count by eye as it stands."""

    case: Case
    counts: dict[Code, int]
    """Cells counted by eye, by class."""
    own: int
    """Of them, cells that the user counted and may take back."""
    differential: DifferentialView
