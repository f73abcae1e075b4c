"""Two differential counts side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

from leukopy.slides.differential import Differential, Line

_Z = 1.959963984540054
"""Of the standard normal distribution: 95 % lie within."""


@dataclass(frozen=True)
class Difference:
    """One class of two slides, in % of their leukocytes."""

    code: str
    name: str
    first: float
    second: float
    difference: float
    """``second - first``, in points."""
    low: float
    """Lower 95 % limit of the difference: sampling error alone, one class at a time."""
    high: float
    apart: bool
    """The limits of the difference exclude 0."""


def compare(first: Differential, second: Differential) -> tuple[Difference, ...]:
    """The classes of the 100 % of two differentials, in display order; empty where one has no leukocytes.

    The limits are Newcombe's hybrid score limits of a difference of two shares (Statistics in Medicine 17, 1998,
    method 10). They cover sampling error, neither errors of classification nor the number of classes compared.
    """
    others = {line.code: line for line in second.lines}
    total, other_total = first.leukocytes, second.leukocytes
    if not total or not other_total:
        return ()
    return tuple(
        _difference(line, total, others[line.code], other_total) for line in first.lines if line.code in others
    )


def _difference(line: Line, total: int, other: Line, other_total: int) -> Difference:
    one, two = line.count / total, other.count / other_total
    low_one, high_one = _wilson(line.count, total)
    low_two, high_two = _wilson(other.count, other_total)
    low = two - one - math.hypot(two - low_two, high_one - one)
    high = two - one + math.hypot(high_two - two, one - low_one)
    return Difference(
        line.code, line.name, 100 * one, 100 * two, 100 * (two - one), 100 * low, 100 * high, apart=low > 0 or high < 0
    )


def _wilson(count: int, total: int) -> tuple[float, float]:
    """Wilson's score limits of a share."""
    share = count / total
    centre = share + _Z**2 / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return (centre - half) / (1 + _Z**2 / total), (centre + half) / (1 + _Z**2 / total)
