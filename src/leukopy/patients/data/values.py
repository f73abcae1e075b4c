"""From a row of a patients table to the patient, and to what is wrong with it: each thing by its name.

A value that cannot be used becomes unknown, and its patient stays. No message prints the value: it may be a date of
birth, or a name in the wrong column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from leukopy.core.errors import SettingsError
from leukopy.core.tables import Row, Table
from leukopy.patients.data.plausibility import (
    MAX_AGE,
    doubt_age,
    doubt_column,
    doubt_count,
    in_future,
    unit_size,
    years_between,
)
from leukopy.patients.data.tables import decimal_commas

PROBLEM_REASONS: dict[str, str] = {
    "no_column": "the table has no column for it",
    "missing_age": "neither an age nor a date of birth",
    "missing_count": "no lymphocyte count",
    "unreadable_number": "not a number",
    "impossible_date": "no date, or one before 1900 or in the future, or a birth after the sample",
    "impossible_age": "below 0 or above 120 years",
    "contradictory_age": "the age is not the one that the date of birth gives: another unit, or another patient",
    "impossible_count": "not above 0",
    "doubtful_unit": "a lymphocyte count that looks like cells/µL, per cent or another unit than 10^9/L",
    "unknown_gender": "neither F nor M",
    "unknown_label": "neither 0, 1 nor -1",
    "duplicate_row": "two rows of the table say the same of one patient",
    "similar_id": "another patient's id differs only in capitals, blanks or leading zeros",
    "no_images": "the patient has no image, and is left out",
    "no_patient": "images of a patient whom the table does not hold; they are left out",
    "not_read": "files beside the images of the patient that may be pictures of a kind that is not read",
    "same_image": "a file that equals another of the cohort, byte for byte; it counts once for a patient",
}
"""The fixed words of ``PROBLEM_SCHEMA``'s ``reason``, and what they stand for."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNIT = "write it in 10^9/L, or state its unit in a column lymphocytes_unit"
_GENDERS = {"f": "F", "female": "F", "m": "M", "male": "M"}
_LABELS = {"": None, "-1": None, "-1.0": None,
           "0": 0, "0.0": 0, "reactive": 0, "1": 1, "1.0": 1, "tumoral": 1}  # fmt: skip


class Problem(NamedTuple):
    """A row of ``PROBLEM_SCHEMA``."""

    patient_id: str | None
    """None where it is no single patient's."""
    reason: str
    message: str


@dataclass(frozen=True)
class Reading:
    """How the values of one table are meant."""

    table: Table
    date_styles: tuple[str, ...]
    """As `datetime.strptime` takes them; none stands for ISO 8601."""
    reference: date | None
    """Where ages are counted that have no date of sampling."""


class _UnfitError(Exception):
    """A value that cannot be used."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


def read_patients(reading: Reading) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Every row of a table as the values of ``PATIENT_SCHEMA``, unknown ones None, and what is wrong.

    Raises:
        ManifestError: a column of numbers is written with commas that may mean two things.
        SettingsError: a patient has a date of birth, no age, and no date to count it at.
    """
    commas = {field: decimal_commas(reading.table, field) for field in ("age", "lymphocytes")}
    column = doubt_column(_unstated_counts(reading.table, commas["lymphocytes"]))
    parsers: dict[str, Callable[[Row], Any]] = {
        "label": _label,
        "age": lambda row: _age(row, reading, commas["age"]),
        "lymphocytes": lambda row: _count(row, commas["lymphocytes"], column),
        "gender": _gender,
    }
    problems = _absent_columns(reading.table)
    patients = []
    for row in reading.table.rows:
        patient: dict[str, Any] = {"patient_id": row.values["patient_id"]}
        for field, parse in parsers.items():
            try:
                patient[field] = parse(row)
            except _UnfitError as wrong:
                patient[field] = None
                message = (
                    f"{row.table.name}, {row.place}, patient {patient['patient_id']}: {wrong}; it is taken as unknown."
                )
                problems.append(Problem(patient["patient_id"], wrong.reason, message))
        patients.append(patient)
    return patients, problems


def _absent_columns(table: Table) -> list[Problem]:
    """One problem for a column that is absent, in place of one for each patient."""
    absent = [
        name
        for name, fields in {"age (or birth_date)": {"age", "birth_date"}, "lymphocytes": {"lymphocytes"}}.items()
        if not fields & table.fields
    ]
    told = "has no column {}, so that it is unknown for every patient. Add it where you have it."
    return [Problem(None, "no_column", f"{table.path.name}: {told.format(name)}") for name in absent]


def _number(text: str, what: str, commas: bool) -> float:
    text = text.replace(",", ".") if commas else text
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise _UnfitError("unreadable_number", f"the {what} is not a number")
    return float(text)


def _count(row: Row, commas: bool, column: str | None) -> float | None:
    """In 10^9/L. ``column``: the reason to doubt the unit of its whole column."""
    text = row.values.get("lymphocytes")
    if text is None:
        return None
    if not text:
        raise _UnfitError("missing_count", "the lymphocyte count is missing")
    size = _unit_size(row)
    if size is None or text.endswith("%"):
        raise _UnfitError("doubtful_unit", f"the lymphocyte count is a percentage; {_UNIT}")
    count = _number(text, "lymphocyte count", commas) * size
    if count <= 0:
        raise _UnfitError("impossible_count", f"the lymphocyte count is not above 0; {_UNIT}")
    stated = bool(row.values.get("lymphocytes_unit"))
    if doubt := doubt_count(count, unit_stated=stated) or (None if stated else column):
        raise _UnfitError("doubtful_unit", f"the lymphocyte count {doubt}; {_UNIT}")
    return count


def _unit_size(row: Row) -> float | None:
    """The size of the unit that a row states, in 10^9/L, which is also taken where none is stated."""
    unit = row.values.get("lymphocytes_unit")
    if not unit:
        return 1
    try:
        return unit_size(unit)
    except KeyError:
        raise _UnfitError("doubtful_unit", f"the unit of the lymphocyte count is unknown; {_UNIT}") from None


def _unstated_counts(table: Table, commas: bool) -> list[float]:
    """The counts of the rows that state no unit, as far as they are numbers."""
    counts = []
    for row in table.rows:
        try:
            if not row.values.get("lymphocytes_unit"):
                counts.append(_number(row.values.get("lymphocytes", ""), "", commas))
        except _UnfitError:
            continue
    return counts


def _age(row: Row, reading: Reading, commas: bool) -> float | None:
    """In years: as stated, where it does not contradict the date of birth; else from that date."""
    if not {"age", "birth_date"} & row.values.keys():
        return None
    birth = row.values.get("birth_date")
    if text := row.values.get("age"):
        age = _number(text, "age", commas)
        doubt = _doubt_age(age, birth, row, reading) if birth and age >= 0 else None
        if doubt:
            raise _UnfitError("contradictory_age", f"the age {doubt}; ages are in years")
    elif birth:
        age = _age_at_sample(birth, row, reading)
    else:
        raise _UnfitError("missing_age", "the age is missing")
    if not 0 <= age <= MAX_AGE:
        raise _UnfitError("impossible_age", f"the age is not between 0 and {MAX_AGE:.0f}; ages are in years")
    return age


def _doubt_age(age: float, birth_date: str, row: Row, reading: Reading) -> str | None:
    birth = _date(birth_date, "date of birth", reading)
    sampled = row.values.get("sample_date")
    return doubt_age(age, birth, _date(sampled, "date of the sample", reading) if sampled else None)


def _age_at_sample(birth_date: str, row: Row, reading: Reading) -> float:
    birth = _date(birth_date, "date of birth", reading)
    sampled = row.values.get("sample_date")
    at = _date(sampled, "date of the sample", reading) if sampled else reading.reference
    if at is None:
        raise SettingsError(
            f"{row.table}: has dates of birth, but patient {row.values['patient_id']} has no age and no sample_date to "
            "count it at. Give --reference-date YYYY-MM-DD, or fill in age or sample_date."
        )
    if birth > at:
        raise _UnfitError("impossible_date", "the date of birth lies after the date at which the age is counted")
    return years_between(birth, at)


def _date(text: str, what: str, reading: Reading) -> date:
    for style in reading.date_styles or (None,):
        try:
            found = (datetime.strptime(text, style) if style else datetime.fromisoformat(text)).date()
        except ValueError:
            continue
        if found.year < 1900:
            raise _UnfitError("impossible_date", f"the {what} lies before 1900")
        if in_future(found):
            raise _UnfitError("impossible_date", f"the {what} lies in the future")
        return found
    styles = " or ".join(reading.date_styles).replace("%", "") or "YYYY-MM-DD"
    raise _UnfitError("impossible_date", f"the {what} is no date (written {styles})")


def _gender(row: Row) -> str | None:
    text = row.values.get("gender", "").lower()
    if text and text not in _GENDERS:
        raise _UnfitError("unknown_gender", "the gender is neither F nor M")
    return _GENDERS.get(text)


def _label(row: Row) -> int | None:
    text = row.values.get("label", "").lower()
    if text not in _LABELS:
        raise _UnfitError("unknown_label", "the label is neither 0 (reactive), 1 (tumoral) nor -1 (unknown)")
    return _LABELS[text]
