"""Units and ages in doubt: a number that may mean another one is named and never used."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from leukopy.core.errors import SettingsError
from leukopy.patients.data import Cohort, open_cohort
from leukopy.patients.data.plausibility import UNITS, doubt_age, doubt_column, doubt_count, today, unit_size

SAMPLED = date(2020, 3, 1)


def ward(root: Path, header: str, *rows: str, **options: date) -> Cohort:
    """A cohort of patients with one (empty) image each."""
    for row in rows:
        image = root / row.split(",")[0] / "1.png"
        image.parent.mkdir(parents=True)
        image.touch()
    (root / "patients.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return open_cohort(root, **options)


def counts(cohort: Cohort) -> list[float | None]:
    return cohort.patients["lymphocytes"].to_list()


def reasons(cohort: Cohort) -> list[tuple[str | None, str]]:
    return list(cohort.problems.select("patient_id", "reason").iter_rows())


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("7400", "cells/µL"),
        ("1500", "cells/µL"),  # a normal count of cells/µL
        ("520", "cells/µL"),
        ("45 %", "percentage"),
        ("45%", "percentage"),
        ("0.0074", "10^12/L or a share"),
    ],
)
def test_a_count_in_another_unit_is_named_and_not_used(tmp_path: Path, written: str, told: str) -> None:
    cohort = ward(tmp_path, "patient_id,age,lymphocytes", f"P1,60,{written}", "P2,60,7.4")
    assert counts(cohort) == [None, 7.4]
    assert reasons(cohort) == [("P1", "doubtful_unit")]
    assert told in cohort.problems["message"][0]
    assert "lymphocytes_unit" in cohort.problems["message"][0]


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (["7400", "480", "5200"], "column that looks like cells/µL"),
        (["7400", "480"], "column that looks like cells/µL"),
        (["42", "55", "61", "78", "90"], "column that looks like per cent"),
        ([".42", ".55", ".61", ".78", ".9"], "column that looks like shares"),
    ],
)
def test_a_column_in_another_unit_is_doubted_whole(tmp_path: Path, column: list[str], told: str) -> None:
    rows = [f"P{number},60,{count}" for number, count in enumerate(column)]
    cohort = ward(tmp_path, "patient_id,age,lymphocytes", *rows)
    assert counts(cohort) == [None] * len(column)
    assert {reason for _, reason in reasons(cohort)} == {"doubtful_unit"}
    assert any(told in message for message in cohort.problems["message"])


@pytest.mark.parametrize(
    "column",
    [
        [4.0, 4.5, 6.9, 12.4, 31, 152, 295],  # the spread of the lymphocytosis cohort
        [35.0, 60, 80],  # too few to tell per cent
        [12.0, 14, 18, 22, 40],
        [30.0, 45, 60, 90, 180],
        [0.4, 0.8, 1.2, 0.9, 0.7],
        [],
    ],
)
def test_a_plausible_column_is_read(column: list[float]) -> None:
    assert doubt_column(column) is None
    assert not any(map(doubt_count, column))


def test_one_slip_does_not_cost_the_column(tmp_path: Path) -> None:
    cohort = ward(tmp_path, "patient_id,age,lymphocytes", "P1,60,5.1", "P2,60,8200", "P3,60,12", "P4,60,4.4")
    assert counts(cohort) == [5.1, None, 12.0, 4.4]


def test_a_stated_unit_is_converted_and_believed(tmp_path: Path) -> None:
    cohort = ward(
        tmp_path,
        "patient_id,age,lymphocytes,lymphocytes_unit",
        "P1,60,7400,cells/µL", "P2,60,7.4,G/L", "P3,60,7.4,10^9/L", "P4,60,620,x 10⁹/L", "P5,60,45,%", "P6,60,7,mg/dL",
        "P7,60,9000,", "P8,60,7400,/MM3",
    )  # fmt: skip
    assert counts(cohort) == [pytest.approx(7.4), 7.4, 7.4, 620.0, None, None, None, pytest.approx(7.4)]
    assert reasons(cohort) == [(patient, "doubtful_unit") for patient in ("P5", "P6", "P7")]


def test_each_unit_is_known_however_it_is_written() -> None:
    for unit, size in UNITS.items():
        assert unit_size(f" {unit.upper()} ") == unit_size(unit.replace("µ", "μ")) == size
    with pytest.raises(KeyError):
        unit_size("mmol/L")


@pytest.mark.parametrize(
    ("age", "birth", "told"),
    [
        ("70", "2015-03-01", "contradicts the date of birth."),  # 5 years at the sample
        ("60", "2015-03-01", "looks like months"),
        ("261", "2015-03-01", "looks like weeks"),
        ("1826", "2015-03-01", "looks like days"),
        ("25568", "1950-03-01", "looks like days"),
        ("50", "1950-03-01", "contradicts the date of birth."),
    ],
)
def test_an_age_against_the_date_of_birth_is_named_and_not_used(
    tmp_path: Path, age: str, birth: str, told: str
) -> None:
    header = "patient_id,age,birth_date,sample_date,lymphocytes"
    cohort = ward(tmp_path, header, f"P1,{age},{birth},2020-03-01,8.2", "P2,71,1949-06-01,2020-03-01,8.2")
    assert cohort.patients["age"].to_list() == [None, 71.0]
    assert reasons(cohort) == [("P1", "contradictory_age")]
    message = cohort.problems["message"][0]
    assert told.removesuffix(".") in message
    assert ("looks like" in message) is ("looks like" in told)
    assert birth not in message


def test_without_a_date_of_sampling_only_an_age_not_yet_reached_contradicts() -> None:
    born = today() - timedelta(days=20 * 365)
    assert doubt_age(12, born, None) is None
    assert doubt_age(20, born, None) is None
    assert doubt_age(70, born, None) == "contradicts the date of birth"
    assert "months" in (doubt_age(240, born, None) or "")
    assert doubt_age(12, born, today()) == "contradicts the date of birth"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("P1,-5,2015-03-01,2020-03-01", "impossible_age"),
        ("P1,-5,,", "impossible_age"),
        ("P1,840,,", "impossible_age"),
        ("P1,6 mo,,", "unreadable_number"),
        ("P1,,2090-01-01,2095-01-01", "impossible_date"),
        ("P1,,1950-01-01,2095-01-01", "impossible_date"),
        ("P1,70,1950-01-01,2095-01-01", "impossible_date"),
        ("P1,,2020-03-02,2020-03-01", "impossible_date"),
    ],
)
def test_ages_and_dates_that_cannot_be_are_named_and_not_used(tmp_path: Path, row: str, reason: str) -> None:
    cohort = ward(tmp_path, "patient_id,age,birth_date,sample_date,lymphocytes", f"{row},8.2")
    assert cohort.patients["age"].to_list() == [None]
    assert reasons(cohort) == [("P1", reason)]


def test_ages_are_not_counted_in_the_future(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lies in the future"):
        ward(tmp_path, "patient_id,birth_date,lymphocytes", "P1,1950-01-01,5", reference_date=date(2095, 1, 1))


def test_a_child_of_a_month_has_an_age(tmp_path: Path) -> None:
    cohort = ward(tmp_path, "patient_id,age,birth_date,sample_date,lymphocytes", "P1,,2020-02-01,2020-03-01,8.2")
    assert cohort.patients["age"].to_list() == [pytest.approx(29 / 365.25)]
    assert cohort.problems.is_empty()
