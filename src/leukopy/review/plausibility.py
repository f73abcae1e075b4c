"""Plausibility of the numbers and dates entered in a case: all rules in one place.

A number that cannot be is refused when it is entered (`check`), and gives no result where an older case holds it
(`impossible`). One that can be, but hardly with this count, is doubted: a note of the differential says so (`doubts`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Protocol

from leukopy.core.errors import InputError
from leukopy.patients.data.plausibility import MAX_COUNT, in_future

MAX_LEUKOCYTES = 1000.0
"""10⁹/L. The highest counts of leukaemias lie below; in cells/µL nearly every count lies above."""
MIN_COUNT = 0.05
"""10⁹/L: a lower one is in 10¹²/L, or a share."""
OLDEST = date(1950, 1, 1)
"""Of a specimen."""
_DISAGREEMENT = 2.0
"""Factor by which entered lymphocytes may leave the 95 % limits that the slide gives before they are doubted: the
analyser counts thousands of cells and classes them by other means."""


class Entries(Protocol):
    """The entries of a case that rules are about."""

    @property
    def specimen_date(self) -> date | None:
        """Day of the sample."""

    @property
    def lymphocytes(self) -> float | None:
        """10⁹/L."""

    @property
    def leukocytes(self) -> float | None:
        """10⁹/L."""


FIELDS = frozenset({"specimen_date", "lymphocytes", "leukocytes"})
"""Entries that rules are about."""


def check(entries: Entries, changed: Collection[str]) -> None:
    """Refuse entries that cannot be.

    Args:
        entries: as they would be stored.
        changed: the fields given now; others may stay as an earlier version took them.

    Raises:
        InputError: one of them is impossible, alone or beside another.
    """
    if FIELDS & set(changed) and (reason := impossible(entries)):
        raise InputError(reason)


def impossible(entries: Entries) -> str | None:
    """Why the entries of a case cannot be; None: they can."""
    return _impossible_counts(entries.leukocytes, entries.lymphocytes) or _impossible_day(entries.specimen_date)


def _impossible_counts(leukocytes: float | None, lymphocytes: float | None) -> str | None:
    if leukocytes is not None and leukocytes > MAX_LEUKOCYTES:
        return f"leukocytes: {leukocytes:g} is too high for 10⁹/L and looks like cells/µL; enter {leukocytes / 1000:g}."
    if lymphocytes is not None and lymphocytes > MAX_COUNT:
        return (
            f"lymphocytes: {lymphocytes:g} is too high for 10⁹/L and looks like cells/µL; enter {lymphocytes / 1000:g}."
        )
    for name, count in (("leukocytes", leukocytes), ("lymphocytes", lymphocytes)):
        if count is not None and 0 < count < MIN_COUNT:
            return f"{name}: {count:g} is too low for 10⁹/L and looks like 10¹²/L or a share; enter 10⁹/L."
    if leukocytes is not None and lymphocytes is not None and lymphocytes > leukocytes:
        return (
            f"lymphocytes: {lymphocytes:g} is more than all leukocytes ({leukocytes:g}); "
            "enter both in 10⁹/L, the lymphocytes not in per cent."
        )
    return None


def _impossible_day(day: date | None) -> str | None:
    if day is not None and in_future(day):
        return f"specimen date: {day.isoformat()} lies in the future; correct it."
    if day is not None and day < OLDEST:
        return f"specimen date: {day.isoformat()} lies too far in the past; correct it."
    return None


def doubtful_lymphocytes(entered: float | None, low: float | None, high: float | None) -> bool:
    """Whether the lymphocytes entered hardly fit the count.

    Args:
        entered: 10⁹/L.
        low, high: 95 % limits that the leukocytes entered and the share counted give, 10⁹/L.
    """
    if entered is None or low is None or high is None:
        return False
    return not low / _DISAGREEMENT <= entered <= high * _DISAGREEMENT


def corrected_leukocytes(leukocytes: float, erythroblasts_per_100: float) -> float:
    """Leukocytes without the erythroblasts that an analyser counts among them.

    WBC × 100 / (100 + erythroblasts per 100 leukocytes): Dacie and Lewis, Practical Haematology, 12th ed., chapter 3.

    Args:
        leukocytes: all nucleated cells, 10⁹/L.
        erythroblasts_per_100: per 100 leukocytes.
    """
    return leukocytes * 100 / (100 + erythroblasts_per_100)
