"""Plausible ages and lymphocyte counts: the one place of the rules by which a number, its unit or a date is doubted.

A doubtful number is never used: `leukopy.patients.data.values` takes it as unknown and names it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median, median_low

MAX_AGE = 120.0
"""Years."""

MIN_COUNT, MAX_COUNT = 0.05, 500.0
"""Lymphocytes, 10^9/L, where the table does not state the unit. In cells/µL every usual count lies above: 0.5 x 10^9/L
are 500."""

MAX_STATED_COUNT = 2000.0
"""10^9/L, where the table states the unit. The highest counts of leukaemias lie below 1000."""

UNITS: dict[str, float | None] = {
    "10^9/L": 1, "10*9/L": 1, "10e9/L": 1, "1e9/L": 1, "10⁹/L": 1, "G/L": 1, "Giga/L": 1,
    "10^3/µL": 1, "10*3/µL": 1, "10³/µL": 1, "K/µL": 1, "10^3/mm³": 1, "10³/mm³": 1,
    "cells/µL": 1e-3, "/µL": 1e-3, "cells/mm³": 1e-3, "/mm³": 1e-3,
    "%": None,
}  # fmt: skip
"""Unit as a table may state it -> its size in 10^9/L; None: no concentration."""

_SAME_AGE = 1.5
"""Years by which a stated age may differ from the one of the dates: it is rounded, and may be counted at admission."""

_SAME_UNIT = 0.25
"""Years by which an age that is read as months, weeks or days may differ."""

_FEW_PER_MICROLITRE = 100
"""A count of cells/µL is hardly lower: 0.1 x 10^9/L."""

_COLUMN = 5
"""Counts from which a column tells its unit by itself."""

_DAYS_PER_YEAR = 365.25


def unit_size(unit: str) -> float | None:
    """The size of a unit in 10^9/L; None: it is a percentage.

    Raises:
        KeyError: no such unit is known.
    """
    return _SIZES[_plain(unit)]


def doubt_count(count: float, *, unit_stated: bool = False) -> str | None:
    """The reason to doubt one lymphocyte count, in words; None: it is plausible.

    Args:
        count: 10^9/L, above 0.
        unit_stated: the table states the unit.
    """
    if count > (MAX_STATED_COUNT if unit_stated else MAX_COUNT):
        return "is too high for 10^9/L: it looks like cells/µL"
    if count < MIN_COUNT:
        return "is too low for 10^9/L: it looks like 10^12/L or a share"
    return None


def doubt_column(counts: Sequence[float]) -> str | None:
    """The reason to doubt the unit of a whole column of lymphocyte counts, in words; None: it is plausible.

    Args:
        counts: as written, where the table does not state the unit.
    """
    if counts and (median_low(counts) > MAX_COUNT or (max(counts) > MAX_COUNT and min(counts) > _FEW_PER_MICROLITRE)):
        return "stands in a column that looks like cells/µL"
    if len(counts) < _COLUMN:
        return None
    if max(counts) <= 1:
        return "stands in a column that looks like shares or 10^12/L"
    if min(counts) >= 10 and max(counts) <= 100 and median(counts) >= 30:
        return "stands in a column that looks like per cent"
    return None


def doubt_age(age: float, birth: date, sampled: date | None) -> str | None:
    """The reason to doubt an age beside a date of birth, in words; None: they agree.

    Args:
        age: as stated, taken as years.
        birth: date of birth.
        sampled: date of the sample; None where unknown, so that only a greater age than today's contradicts.
    """
    at_sample = years_between(birth, sampled or today())
    if abs(age - at_sample) <= _SAME_AGE or (sampled is None and 0 <= age < at_sample):
        return None
    for unit, per_year in (("months", 12), ("weeks", _DAYS_PER_YEAR / 7), ("days", _DAYS_PER_YEAR)):
        if abs(age / per_year - at_sample) <= _SAME_UNIT:
            return f"contradicts the date of birth: it looks like {unit}"
    return "contradicts the date of birth"


def years_between(birth: date, at: date) -> float:
    """Years from a date to another."""
    return (at - birth).days / _DAYS_PER_YEAR


def in_future(day: date) -> bool:
    """Whether a day lies after today everywhere on Earth."""
    return day > today() + timedelta(days=1)


def today() -> date:
    """The date in UTC."""
    return datetime.now(UTC).date()


def _plain(unit: str) -> str:
    """A unit without what people write differently: capitals, blanks, kinds of mu, raised digits, a leading x or ×."""
    plain = "".join(unicodedata.normalize("NFKC", unit).casefold().split())
    return plain.replace("μ", "u").replace("×", "x").removeprefix("x")


_SIZES = {_plain(unit): size for unit, size in UNITS.items()}
