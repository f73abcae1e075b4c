"""Reflex rules: what a case needs before it is signed, where its count reaches a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from leukopy.review.records import BLASTS_OF_ALL_KINDS, DifferentialView, Rule
from leukopy.taxonomy import BLASTS

DELIVERED: tuple[Rule, ...] = (
    Rule(code="ANY_BLAST", measure=BLASTS_OF_ALL_KINDS, unit="cells", comparison="at_least", limit=1,
         demand="second_reader", active=False),
    Rule(code="BLASTS_SEEN", measure=BLASTS_OF_ALL_KINDS, unit="cells", comparison="at_least", limit=1,
         demand="all_seen", active=False),
    Rule(code="PLASMA_CELLS", measure="PLASMA", unit="percent", comparison="at_least", limit=5,
         demand="second_reader", active=False),
    Rule(code="MANY_LEUKOCYTES", measure="WBC", unit="absolute", comparison="at_least", limit=50,
         demand="comment", active=False),
    Rule(code="FEW_NEUTROPHILS", measure="NEU", unit="absolute", comparison="at_most", limit=0.5,
         demand="comment", active=False),
)  # fmt: skip
"""Switched off until an administrator switches them on."""


def reached(rules: Iterable[Rule], view: DifferentialView) -> Iterator[tuple[Rule, float]]:
    """The active rules that a count reaches, with the value that does."""
    for rule in rules:
        value = measured(rule, view)
        if rule.active and value is not None:
            high = rule.comparison == "at_least"
            if value >= rule.limit if high else value <= rule.limit:
                yield rule, value


def measured(rule: Rule, view: DifferentialView) -> float | None:
    """The value that a rule looks at; None: the count does not hold it."""
    codes: Sequence[str] = BLASTS if rule.measure == BLASTS_OF_ALL_KINDS else (rule.measure,)
    lines = [*view.lines, *view.beside, *view.outside, *([view.total] if view.total else [])]
    found = [line for line in lines if line.code in codes]
    if rule.unit == "cells":
        return sum(line.count for line in found)
    values = [line.percent if rule.unit == "percent" else line.absolute for line in found]
    known = [value for value in values if value is not None]
    return sum(known) if known else None
