"""Cohorts of patients: both layouts, every flaw by its name, and no birth date in any message."""

from __future__ import annotations

import random
import tempfile
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.core.errors import InputError, LeukopyError, ManifestError, SettingsError
from leukopy.patients.data import (
    PROBLEM_REASONS,
    Cohort,
    open_cohort,
)
from support.cohorts import CHALLENGE, assert_private, images, reasons, write


def general(root: Path, header: str, *rows: str, **options: date) -> Cohort:
    """A cohort of the patients in ``rows``, two images each."""
    separator = ";" if ";" in header else ","
    ids = {row.split(separator)[0]: 2 for row in rows}
    write(images(root, **ids) / "patients.csv", header, *rows)
    return open_cohort(root, **options)


def test_the_general_layout(tmp_path: Path) -> None:
    cohort = general(
        tmp_path / "spring",
        "patient_id,label,age,birth_date,sample_date,lymphocytes,gender,ward",
        "b,tumoral,71.5,,,30,female,3",
        "a,Reactive,,1950-03-28,2024-03-28,6.5,M,",
        "c,,74,1950-03-28,2024-03-28,NA,,",
        "d,1,,1950-03-28,,7,m,",
        reference_date=date(2014, 3, 28),
    )
    assert cohort.name == "spring"
    assert cohort.patients.rows() == [
        ("a", 0, pytest.approx(74.0, abs=0.01), 6.5, "M"),
        ("b", 1, 71.5, 30.0, "F"),
        ("c", None, 74.0, None, None),
        ("d", 1, pytest.approx(64.0, abs=0.01), 7.0, "M"),
    ]
    assert reasons(cohort) == [("c", "missing_count")]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_of_any_country_and_parquet_say_the_same(tmp_path: Path, separator: str) -> None:
    rows = ["patient_id,birth_date,sample_date,lymphocytes", "P1,1950-03-28,2020-01-01,4.5", "P2,,2020-01-01,12"]
    images(tmp_path, P1=1, P2=2)
    text = write(tmp_path / "one.tsv", *("\ufeff" + "\n".join(rows)).replace(",", separator).split("\n"))
    first = open_cohort(text)
    typed = pl.DataFrame({
        "lymphocytes": [12.0, 4.5], "patient_id": ["P2", "P1"], "sample_date": [date(2020, 1, 1)] * 2,
        "birth_date": [None, date(1950, 3, 28)],
    })  # fmt: skip
    typed.write_parquet(tmp_path / "two.parquet")
    second = open_cohort(tmp_path / "two.parquet")
    assert first.patients.equals(second.patients)
    assert first.cells.equals(second.cells)
    assert reasons(first) == reasons(second) == [("P2", "missing_age")]


def test_a_manifest_in_place_of_folders(tmp_path: Path) -> None:
    table = write(tmp_path / "p.csv", "patient_id,age,lymphocytes", "P2,50,5", "P1,60,6", "P3,60,6")
    lines = ("path,patient_id,x", "b/2.png,P1,", "../s/1.png,P2,", "a/2.png,P1,", "1.png,P1,", "9.png,P9,")
    listed = write(tmp_path / "lists" / "cells.csv", *lines)
    cohort = open_cohort(table, cells=listed)
    assert cohort.cells["cell_id"].to_list() == ["P1/1.png", "P1/a/2.png", "P1/b/2.png", "P2/1.png"]
    assert cohort.cells["path"][3] == str(tmp_path / "s" / "1.png")
    assert reasons(cohort) == [("P3", "no_images"), ("P9", "no_patient")]
    pl.read_csv(listed).write_parquet(tmp_path / "lists" / "cells.parquet")
    assert open_cohort(table, cells=tmp_path / "lists" / "cells.parquet").cells.equals(cohort.cells)


def test_files_that_are_not_read_are_named_by_patient(tmp_path: Path) -> None:
    write(images(tmp_path, P1=1, P2=1, P3=0) / "p.csv", "patient_id,age,lymphocytes", "P1,50,5", "P2,60,6", "P3,60,6")
    for name in ("P1/a.czi", "P1/deep/b.nd2", "P1/c.czi", "P2/notes.txt", "P2/Thumbs.db", "P3/archive.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    cohort = open_cohort(tmp_path)
    assert reasons(cohort) == [("P1", "not_read"), ("P3", "not_read"), ("P3", "no_images")]
    told = cohort.problems.filter(reason="not_read")["message"].to_list()
    assert told == ["patient P1: not read: 3 files (.czi, .nd2).", "patient P3: not read: 1 file (.zip)."]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["patient_id,path", "P1,a.png", "P1,./a.png"], "line 3: its image is on line 2 too"),
        (["patient_id,path", "P1,a.png", ",b.png"], "line 3: has no patient_id or no path"),
        (["patient,path", "P1,a.png"], "column 'patient_id' is missing"),
        (["patient_id,path"], "holds no rows"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, lines: list[str], told: str) -> None:
    table = write(tmp_path / "p.csv", "patient_id,age,lymphocytes", "P1,50,5")
    with pytest.raises(ManifestError, match=told):
        open_cohort(table, cells=write(tmp_path / "cells.csv", *lines))


FLAWS = {
    "missing_age": ("age", ""),
    "missing_count": ("lymphocytes", "n/a"),
    "unreadable_number": ("lymphocytes", "many"),
    "impossible_age": ("age", "121"),
    "impossible_count": ("lymphocytes", "0"),
    "doubtful_unit": ("lymphocytes", "7400"),
    "unknown_gender": ("gender", "W"),
    "unknown_label": ("label", "2"),
}


@pytest.mark.parametrize("reason", FLAWS)
def test_a_flaw_is_named_its_value_unknown_and_its_patient_kept(tmp_path: Path, reason: str) -> None:
    good = {"patient_id": "P1", "label": "1", "age": "71", "lymphocytes": "30", "gender": "F"}
    field, value = FLAWS[reason]
    flawed = {**good, "patient_id": "P2", field: value}
    cohort = general(tmp_path, ",".join(good), ",".join(good.values()), ",".join(flawed.values()))
    assert reasons(cohort) == [("P2", reason)]
    assert "P2" in cohort.problems["message"][0]
    expected = {"patient_id": "P2", "label": 1, "age": 71.0, "lymphocytes": 30.0, "gender": "F", field: None}
    assert cohort.patients.row(1, named=True) == expected
    assert len(cohort.cells) == 4


@pytest.mark.parametrize("count", ["-3", "0", "0.0"])
def test_impossible_counts(tmp_path: Path, count: str) -> None:
    cohort = general(tmp_path, "patient_id,age,lymphocytes", f"P1,70,{count}")
    assert reasons(cohort) == [("P1", "impossible_count")]
    assert "10^9/L" in cohort.problems["message"][0]


@pytest.mark.parametrize("text", ["inf", "1e999", "1_000", "12 G/l", "<4", "1,234,567.8"])
def test_what_is_no_number(tmp_path: Path, text: str) -> None:
    cohort = general(tmp_path, "patient_id;age;lymphocytes", f"P1;70;{text}")
    assert reasons(cohort) == [("P1", "unreadable_number")]


@pytest.mark.parametrize(
    ("birth", "sample", "reason"),
    [
        ("1871-03-28", "2020-01-01", "impossible_date"),
        ("1950-02-30", "2020-01-01", "impossible_date"),
        ("28.03.1950", "2020-01-01", "impossible_date"),
        ("2090-03-28", "2020-01-01", "impossible_date"),
        ("1950-03-28", "1871-01-01", "impossible_date"),
        ("1950-03-28", "spring", "impossible_date"),
        ("1950-03-28", "2090-01-01", "impossible_date"),
        ("", "2020-01-01", "missing_age"),
    ],
)
def test_impossible_dates_are_named_and_never_printed(tmp_path: Path, birth: str, sample: str, reason: str) -> None:
    cohort = general(tmp_path, "patient_id,birth_date,sample_date,lymphocytes", f"P1,{birth},{sample},5")
    assert reasons(cohort) == [("P1", reason)]
    assert cohort.patients["age"].to_list() == [None]
    assert_private(cohort.problems["message"])


def test_challenge_dates_that_do_not_exist(tmp_path: Path) -> None:
    rows = ("P1,1,M,28/3/1950,4", "P2,1,M,03-28-1950,4", "P3,1,M,3/28/1871,4", "P4,1,M,3/28/2090,4", "P5,1,M,,4")
    write(images(tmp_path, **{f"P{number}": 1 for number in range(1, 6)}) / "a.csv", CHALLENGE, *rows)
    cohort = open_cohort(tmp_path)
    assert reasons(cohort) == [(f"P{number}", "impossible_date") for number in range(1, 5)] + [("P5", "missing_age")]
    assert_private(cohort.problems["message"])


def test_birth_dates_need_a_day_to_count_to(tmp_path: Path) -> None:
    header, row = "patient_id,age,birth_date,lymphocytes", "P1,,1950-03-28,5"
    with pytest.raises(SettingsError, match="--reference-date") as refused:
        general(tmp_path, header, "P0,50,1950-03-28,5", row)
    assert_private([str(refused.value)])
    assert general(tmp_path, header, row, reference_date=date(2020, 3, 28)).patients["age"][0] == pytest.approx(
        70, abs=0.01
    )


def test_a_column_that_is_absent_is_one_problem(tmp_path: Path) -> None:
    cohort = general(tmp_path, "patient_id,label", "P1,1", "P2,0")
    assert reasons(cohort) == [(None, "no_column"), (None, "no_column")]
    assert cohort.patients.select(pl.col("age", "lymphocytes").null_count()).row(0) == (2, 2)


def test_decimal_commas_are_read_where_they_are_clear(tmp_path: Path) -> None:
    cohort = general(tmp_path, "patient_id;age;lymphocytes", "P1;71,5;4,125", "P2;60;12,5", "P3;60;7")
    assert cohort.patients["lymphocytes"].to_list() == [4.125, 12.5, 7.0]
    assert cohort.patients["age"].to_list() == [71.5, 60.0, 60.0]
    assert cohort.problems.is_empty()


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("patient_id;age;lymphocytes", ["P1;60;4,125", "P2;60;1,250"]),  # decimals, or thousands per microlitre?
        ("patient_id;age;lymphocytes", ["P1;60;4,5", "P2;60;4.5"]),
        ("patient_id,age,lymphocytes", ['P1,60,"4,5"', "P2,60,5"]),
    ],
)
def test_decimal_commas_that_may_mean_two_things_are_refused(tmp_path: Path, header: str, rows: list[str]) -> None:
    with pytest.raises(ManifestError, match=r"'lymphocytes' hold a comma.*Write decimals with a point"):
        general(tmp_path, header, *rows)


def test_decimal_commas_without_quotes_are_told_from_a_broken_row(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"line 2: holds 4 values under 3 columns.*semicolons"):
        general(tmp_path, "patient_id,age,lymphocytes", "P1,60,4,5")


def test_the_same_row_twice_is_a_problem_and_another_row_an_error(tmp_path: Path) -> None:
    header = "patient_id,birth_date,sample_date,lymphocytes,ward"
    same = general(tmp_path, header, *(f"P1,1950-03-28,2020-01-01,5,{ward}" for ward in "aab"), "P2,,2020-01-01,5,a")
    assert reasons(same) == [("P1", "duplicate_row"), ("P2", "missing_age")]
    assert "line 4: patient P1 is on line 2 too; both rows agree" in same.problems["message"][0]
    assert len(same.patients) == 2
    with pytest.raises(ManifestError, match=r"line 3: patient P1 is on line 2 too, with another birth_date") as refused:
        general(tmp_path, header, "P1,1950-03-28,2020-01-01,5,a", "P1,1951-03-28,2020-01-01,5,a")
    assert_private([str(refused.value).replace(str(tmp_path), "")])


def test_who_has_no_images_and_images_of_nobody(tmp_path: Path) -> None:
    root = images(tmp_path, P1=2, P9=3)
    (root / "P2").mkdir()
    (root / ".hidden").mkdir()
    write(root / ".hidden" / "a.png")
    write(root / "P1" / "notes.txt")
    write(root / "stray.png")
    write(root / "p.csv", "patient_id,age,lymphocytes", "P1,60,5", "P2,60,5", "P3,60,5")
    cohort = open_cohort(root)
    assert cohort.patients["patient_id"].to_list() == ["P1"]
    assert cohort.cells["patient_id"].to_list() == ["P1", "P1"]
    expected = [(None, "no_patient"), ("P2", "no_images"), ("P3", "no_images"), ("P9", "no_patient")]
    assert reasons(cohort) == expected
    assert "3 images" in cohort.problems["message"][3]


def test_a_picture_that_cannot_be_read_is_no_gap(tmp_path: Path) -> None:
    """Its kind is known by the suffix only: it is listed, and fails with its reason where it is decoded."""
    for name in ("a.gif", "b.HEIC", "c.jfif", "d.png", "e.txt"):
        write(tmp_path / "P1" / name)
    write(tmp_path / "p.csv", "patient_id,age,lymphocytes", "P1,60,5")
    assert open_cohort(tmp_path).cells["cell_id"].to_list() == ["P1/a.gif", "P1/b.HEIC", "P1/c.jfif", "P1/d.png"]


def test_bags_of_any_size(tmp_path: Path) -> None:
    write(images(tmp_path, P1=1, P2=500) / "p.csv", "patient_id,age,lymphocytes", "P1,60,5", "P2,60,5")
    assert open_cohort(tmp_path).cells["patient_id"].value_counts(sort=True)["count"].to_list() == [500, 1]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["ID,LABEL,SEX,DOB,LYMPH_COUNT", "P1,1,M,3/28/1950,4"],
         r"column 'GENDER' is missing \(columns found: ID, LABEL, SEX, DOB, LYMPH_COUNT; columns needed: ID, LABEL, "),
        (["patient,age,lymphocytes", "P1,50,5"], r"column 'patient_id' is missing \(columns found: patient, age, "),
        (["patient_id,age,Age", "P1,50,5"], "column age occurs twice"),
        (["P1,1,M,3/28/1950,4", "P2,1,M,3/28/1950,4"], "its first line names none of them"),
        (["patient_id,age"], "holds no rows"),
        (["patient_id,age", ",60"], "line 2: has no patient_id"),
        (["patient_id,age", 'P1,"60'], "not a table"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_without_printing_a_patient(tmp_path: Path, lines: list[str], told: str) -> None:
    images(tmp_path, P1=1)
    for path in (write(tmp_path / "p.csv", *lines), tmp_path):
        with pytest.raises(ManifestError, match=told) as refused:
            open_cohort(path)
        assert_private([str(refused.value).replace(str(tmp_path), "")])


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(ManifestError, match=rf"{name}: not a table"):
        open_cohort(tmp_path / name)


def test_where_there_is_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder or table"):
        open_cohort(tmp_path / "absent")
    with pytest.raises(InputError, match=r"holds no table of patients\. Expected a CSV with ID, LABEL"):
        open_cohort(tmp_path)
    write(tmp_path / "p.csv", "patient_id,age", "P1,60")
    with pytest.raises(InputError, match="none of its 1 patients has an image"):
        open_cohort(tmp_path)
    write(tmp_path / "q.csv", "patient_id,age", "P1,60")
    with pytest.raises(InputError, match=r"more than one table of patients \(p.csv, q.csv\)"):
        open_cohort(tmp_path)


def test_a_list_of_images_is_no_table_of_patients(tmp_path: Path) -> None:
    write(images(tmp_path, P1=1) / "p.csv", "patient_id,age,lymphocytes", "P1,60,5")
    write(tmp_path / "cells.csv", "patient_id,path", "P1,P1/000000.jpg")
    beside = open_cohort(tmp_path)
    assert open_cohort(tmp_path, cells=tmp_path / "cells.csv").cells.equals(beside.cells)


VALUES = st.sampled_from(["", "0", "1", "-1", "2", "60", "130", "4.5", "F", "m", "x", "1950-03-28"])
ROWS = st.dictionaries(
    st.from_regex(r"[pP]?[0-9]{1,3}[ab]?", fullmatch=True),
    st.lists(VALUES, min_size=4, max_size=4),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(ROWS, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_and_columns_does_not_matter(
    rows: dict[str, list[str]], order: random.Random, with_twin: bool
) -> None:
    """Whatever the cells hold: no value is an error, none a gap, and every null of a number has its problem."""
    columns = ["patient_id", "label", "age", "lymphocytes", "gender"]
    table = [[patient_id, *values] for patient_id, values in rows.items()]
    table += table[:1] if with_twin else []
    shuffled = order.sample(table, len(table))
    places = order.sample(range(5), 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        listed = write(
            root / "cells.csv", "patient_id,path", *(f"{patient_id},{patient_id}.png" for patient_id in rows)
        )
        first = write(root / "p.csv", ",".join(columns), *map(",".join, table))
        cohort = open_cohort(first, cells=listed)
        again = write(first, *(",".join(row[place] for place in places) for row in [columns, *shuffled]))
        other = open_cohort(again, cells=listed)
    assert cohort.patients.equals(other.patients)
    assert cohort.cells.equals(other.cells)
    assert reasons(cohort) == reasons(other)
    assert set(cohort.patients["patient_id"]) == set(rows)
    assert set(cohort.problems["reason"]) <= set(PROBLEM_REASONS)
    named = set(FLAWS) - {"unknown_gender", "unknown_label"}
    nulls = sum(cohort.patients.select(pl.col("age", "lymphocytes").null_count()).row(0))
    assert len(cohort.problems.filter(pl.col("reason").is_in(named))) == nulls


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_one_line(content: bytes) -> None:
    """There are no images: even a table that is good ends in an error."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "p.csv"
        table.write_bytes(b"patient_id,age\n" + content)
        with pytest.raises(LeukopyError) as refused:
            open_cohort(table)
    assert "\n" not in str(refused.value)


def test_every_reason_is_explained() -> None:
    assert set(FLAWS) < set(PROBLEM_REASONS)
    assert all(PROBLEM_REASONS.values())
