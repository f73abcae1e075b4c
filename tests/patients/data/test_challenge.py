"""The cohort of the lymphocytosis challenge: its layout, its dates, its card."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from leukopy.core.errors import InputError
from leukopy.patients.data import (
    CHALLENGE_DATE,
    COHORTS,
    PATIENT_CELL_SCHEMA,
    PATIENT_SCHEMA,
    PROBLEM_SCHEMA,
    open_cohort,
)
from support.cohorts import CHALLENGE, images, reasons, write


def test_the_challenge_as_distributed(tmp_path: Path) -> None:
    root = images(tmp_path / "trainset", P10=3, P2=1, P1=2)
    write(root / "trainset_true.csv", f",{CHALLENGE}", "0,P10,1,M,3/28/1950,4.5", "1,P2,0,f,28-03-1990,12",
          "2,P1,-1,F,1/1/2020,.5")  # fmt: skip
    cohort = open_cohort(tmp_path)
    assert dict(cohort.patients.schema) == PATIENT_SCHEMA
    assert dict(cohort.cells.schema) == PATIENT_CELL_SCHEMA
    assert dict(cohort.problems.schema) == PROBLEM_SCHEMA
    assert cohort.name == "lymphocytosis"
    assert cohort.patients.drop("age").rows() == [("P1", None, 0.5, "F"), ("P2", 0, 12.0, "F"), ("P10", 1, 4.5, "M")]
    ages = [
        0.0,
        (date(2020, 1, 1) - date(1990, 3, 28)).days / 365.25,
        (date(2020, 1, 1) - date(1950, 3, 28)).days / 365.25,
    ]
    assert cohort.patients["age"].to_list() == pytest.approx(ages)
    assert cohort.cells["cell_id"].to_list() == [
        "P1/000000.jpg", "P1/000001.jpg", "P2/000000.jpg", "P10/000000.jpg", "P10/000001.jpg", "P10/000002.jpg",
    ]  # fmt: skip
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in cohort.cells["path"])
    assert cohort.problems.is_empty()


def test_the_assumed_day_is_told_wherever_people_look(tmp_path: Path) -> None:
    write(images(tmp_path, P1=1) / "a.csv", CHALLENGE, "P1,1,M,3/28/1950,4")
    assumed, given_ = open_cohort(tmp_path), open_cohort(tmp_path, reference_date=date(2010, 1, 1))
    assert assumed.patients["age"][0] - given_.patients["age"][0] == pytest.approx(3652 / 365.25)
    assert date(2020, 1, 1) == CHALLENGE_DATE
    assert "2020-01-01" in assumed.ages
    assert "assumed" in assumed.ages
    assert "2010-01-01" in given_.ages
    assert "assumed" not in given_.ages
    assert "1 January 2020" in (open_cohort.__doc__ or "")
    assert any("1 January 2020" in note for note in COHORTS["lymphocytosis"].notes)


def test_one_table_beside_both_folders(tmp_path: Path) -> None:
    images(tmp_path / "trainset", P1=1)
    images(tmp_path / "testset", P2=1)
    write(tmp_path / "clinical_annotation.csv", CHALLENGE, "P1,1,M,3/28/1950,4", "P2,-1,F,3/28/1950,5")
    write(tmp_path / "sample_submission.csv", "ID,Predicted", "P2,0")
    cohort = open_cohort(tmp_path)
    assert cohort.patients.select("patient_id", "label").rows() == [("P1", 1), ("P2", None)]
    assert cohort.problems.is_empty()


def test_a_folders_own_table_goes_before_the_one_beside_it(tmp_path: Path) -> None:
    write(images(tmp_path / "trainset", P1=1) / "trainset_true.csv", CHALLENGE, "P1,1,M,3/28/1950,4")
    write(images(tmp_path / "testset", P2=1) / "testset_data.csv", CHALLENGE, "P2,-1,M,3/28/1950,5")
    write(tmp_path / "clinical_annotation.csv", CHALLENGE, "P1,0,M,,4", "P2,0,F,3/28/1950,5", "P3,0,F,3/28/1950,5")
    cohort = open_cohort(tmp_path)
    assert cohort.patients["label"].to_list() == [1, None]
    assert reasons(cohort) == [("P3", "no_images")]


def test_a_patient_in_both_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", CHALLENGE, "P1,1,M,3/28/1950,4")
    images(tmp_path / "trainset", P1=1)
    images(tmp_path / "testset", P1=1)
    with pytest.raises(InputError, match=r"patient P1 has images in .*trainset/P1 and in .*testset/P1"):
        open_cohort(tmp_path)


@pytest.mark.parametrize("name", list(COHORTS))
def test_every_cohort_has_a_whole_card(name: str) -> None:
    card = COHORTS[name]
    assert all((card.title, card.citation, card.licence, card.how_to_get, card.layout, card.notes))
    assert "not distributed" in COHORTS["lymphocytosis"].licence


@pytest.mark.real_data
def test_the_real_cohort(real_data: Path) -> None:
    root = real_data / "patients" / "lymphocytosis"
    if not root.is_dir():
        pytest.skip("the lymphocytosis cohort is not there")
    cohort = open_cohort(root)
    card = COHORTS["lymphocytosis"]
    assert len(cohort.patients) == card.patients == 163
    assert cohort.patients["label"].value_counts().sort("label")["count"].to_list() == [50, 113]
    assert len(cohort.cells) == card.images == 13_453
    sizes = cohort.cells["patient_id"].value_counts()["count"]
    assert (sizes.min(), sizes.max()) == (16, 198)
    assert cohort.patients.null_count().sum_horizontal().item() == 0
    assert cohort.patients["age"].is_between(18, 110).all()
    assert cohort.problems.is_empty()
    assert open_cohort(root / "trainset" / "trainset_true.csv").cells.equals(cohort.cells)
