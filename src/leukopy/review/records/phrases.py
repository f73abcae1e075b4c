"""What a laboratory writes again and again: comment templates, coded findings, and the rules of signing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from leukopy.core.settings import Settings
from leukopy.review.records.values import Code, LongText

PhraseCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]

BLASTS_OF_ALL_KINDS = "BLASTS"
"""The measure of a rule on the sum of all blasts."""


class Phrase(Settings):
    """A comment template, or a coded finding of a case."""

    code: PhraseCode
    kind: Literal["comment", "finding"]
    english: Annotated[LongText, Field(min_length=1, max_length=1000)]
    french: Annotated[LongText, Field(min_length=1, max_length=1000)]
    active: bool = True
    """Offered to readers; one that is not stays on the cases that have it."""


class Finding(Settings):
    """A finding as it was signed."""

    code: PhraseCode
    english: str
    french: str


class Rule(Settings):
    """What a case needs before it is signed, where its count reaches a limit."""

    code: PhraseCode
    measure: Code
    """A class, ``WBC``, or ``BLASTS``."""
    unit: Literal["cells", "percent", "absolute"]
    """Cells counted; % of the leukocytes (beside them: per 100); 10⁹/L."""
    comparison: Literal["at_least", "at_most"]
    limit: float = Field(ge=0, le=100_000)
    demand: Literal["second_reader", "comment", "all_seen"]
    """Another user signs than marked the case as reviewed; a comment or finding; a reader has seen all cells."""
    active: bool = True


class Demand(Settings):
    """A rule that a case reaches."""

    rule: Rule
    value: float
    met: bool
    """For the user who asks: they could sign, as far as this rule goes."""
