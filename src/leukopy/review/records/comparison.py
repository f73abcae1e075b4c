"""Two slides of one patient, side by side or merged."""

from __future__ import annotations

from leukopy.core.settings import Settings
from leukopy.review.records.cases import Case
from leukopy.review.records.values import Id, RequiredText


class ComparedLine(Settings):
    """One class on two slides."""

    code: str
    name: str
    french: str
    counts: tuple[int, int]
    percents: tuple[float | None, float | None]
    """% of the leukocytes, or per 100 leukocytes."""
    pooled: float | None
    """Share of both together, same unit."""
    p: float | None
    """Of Fisher's exact test on the two shares of the leukocytes; None: it was not tested."""
    differs: bool
    """p is significant at 5 % beside those of the other classes (Holm)."""


class Comparison(Settings):
    """Two slides of one patient."""

    cases: tuple[Case, Case]
    leukocytes: tuple[int, int]
    lines: tuple[ComparedLine, ...]


class MergeWith(Settings):
    """The other case of a merger."""

    other: Id
    slide: RequiredText
    """Name of the merged slide."""
