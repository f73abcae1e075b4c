"""Usual ranges by age and sex, from a table that a laboratory may replace.

``reference_ranges.csv`` holds those of children: Dallman PR, "Blood and blood-forming tissues", in Rudolph A (ed.),
Pediatrics, 16th ed., Appleton-Century-Crofts, New York 1977. It gives no shares, and shares of adults are misleading
for a child; so a child has none. Adults, and patients of unknown age, have the ranges of the settings.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from leukopy.core.errors import InputError
from leukopy.core.settings import Settings
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.slides.differential import ReferenceRanges

ADULT = 18.0
"""Years."""

CHILDREN = "Children by age"
"""Name of the ranges of a child, followed by their source."""


class RangeRow(Settings):
    """One row of the table."""

    code: str
    """Of a class, or WBC."""
    quantity: Literal["absolute", "percent"]
    """10⁹/L, or % of the leukocytes."""
    sex: Literal["", "female", "male"] = ""
    """Empty: both."""
    from_years: float = Field(default=0, ge=0)
    to_years: float = Field(default=200, gt=0)
    """The age before which the row holds."""
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    source: Annotated[str, StringConstraints(min_length=1)]
    """Where the figures are from: no range without one."""

    @model_validator(mode="after")
    def _ordered(self) -> RangeRow:
        if self.low > self.high or self.from_years >= self.to_years:
            raise ValueError("a range goes from a lower to a higher value, and an age from a lower to a higher one")
        return self


@dataclass(frozen=True)
class UsualRanges:
    """The ranges of one patient."""

    relative: ReferenceRanges
    absolute: dict[str, tuple[float, float]]
    """10⁹/L, by class code and WBC."""


def usual_ranges(case: CaseDraft, settings: ReviewSettings) -> UsualRanges:
    """The ranges for the age and sex of a case.

    Args:
        case: its age (years) and sex; without an age it has those of adults.
        settings: the laboratory's ranges of adults and its table.

    Raises:
        InputError: the table cannot be read.
        SettingsError: a range of the settings is none.
    """
    adults = ReferenceRanges.build(settings.reference, where="reference")
    adult = case.age is None or case.age >= ADULT
    rows = [row for row in _table(settings.ranges) if _holds(row, case)]
    absolute = {row.code: (row.low, row.high) for row in rows if row.quantity == "absolute"}
    relative = {row.code: (row.low, row.high) for row in rows if row.quantity == "percent"}
    sources = ", ".join(dict.fromkeys(row.source for row in rows))
    if adult:
        named = f"{adults.name}, {sources}" if relative else adults.name
        return UsualRanges(ReferenceRanges(name=named, ranges=adults.ranges | relative), settings.absolute | absolute)
    return UsualRanges(ReferenceRanges(name=f"{CHILDREN} ({sources or '–'})", ranges=relative), absolute)


def _holds(row: RangeRow, case: CaseDraft) -> bool:
    if row.sex and row.sex != case.sex:
        return False
    age = ADULT if case.age is None else case.age
    return row.from_years <= age < row.to_years


@lru_cache(maxsize=4)
def _table(path: Path | None) -> tuple[RangeRow, ...]:
    where = path or "reference_ranges.csv"
    try:
        text = (
            path.read_text(encoding="utf-8-sig")
            if path
            else (files("leukopy.review") / "reference_ranges.csv").read_text(encoding="utf-8")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the table of usual ranges cannot be read; give a CSV file in UTF-8.") from error
    return tuple(
        RangeRow.build({name: value for name, value in row.items() if value != ""}, where=f"{where}, line {number}")
        for number, row in enumerate(csv.DictReader(text.splitlines()), start=2)
    )
