"""Drawing patients and scanning a cohort: what lies on disk, what is counted, what is named."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import InputError, OutputError, SettingsError
from leukopy.patients.data import PROBLEM_SCHEMA, open_cohort
from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients
from leukopy.patients.workflows.scan import ScanPatientsSettings, scan_patients

SMALL = DrawPatientsSettings(patients=6, tumoral=0.5, cells=(2, 5), size=40, seed=4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("patients") / "drawn"
    draw_patients(SMALL, out)
    return out


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_drawn_is_a_cohort_without_a_problem(drawn: Path) -> None:
    cohort = open_cohort(drawn)
    truth = pl.read_csv(drawn / "truth.csv")
    assert cohort.patients["patient_id"].to_list() == [f"D{number}" for number in range(1, 7)]
    assert cohort.patients["label"].sum() == 3
    assert cohort.patients.null_count().sum_horizontal().item() == 0
    assert cohort.problems.is_empty()
    assert cohort.cells["cell_id"].to_list() == truth["cell_id"].to_list()
    assert set(truth["kind"]) <= {"typical", "large", "small", "smudge"}
    assert (truth["nucleus_area_um2"] < truth["cell_area_um2"]).all()
    labels = truth.join(cohort.patients, on="patient_id")
    assert (labels["label"] == labels["label_right"]).all()
    with Image.open(cohort.cells["path"][0]) as image:
        assert image.size == (40, 40)
    assert open_cohort(drawn / "patients.csv", cells=drawn / "truth.csv").cells.equals(cohort.cells)


def test_a_run_can_be_repeated_from_its_record(drawn: Path, tmp_path: Path) -> None:
    record = json.loads((drawn / "run.json").read_text())
    assert (record["status"], record["reactive"], record["tumoral"]) == ("finished", 3, 3)
    again = draw_patients(DrawPatientsSettings.read(drawn / "run.json"), tmp_path / "again")
    for file in ("patients.csv", "truth.csv", "D3/cell_001.png"):
        assert (again.folder / file).read_bytes() == (drawn / file).read_bytes()
    other = draw_patients(SMALL.model_copy(update={"seed": 5}), again.folder, overwrite=True)
    assert (other.folder / "patients.csv").read_bytes() != (drawn / "patients.csv").read_bytes()
    with pytest.raises(OutputError, match="already holds results"):
        draw_patients(SMALL, other.folder)


def test_new_patients_have_no_label_and_their_truth_does(tmp_path: Path) -> None:
    result = draw_patients(SMALL.model_copy(update={"labels": False}), tmp_path / "new")
    assert open_cohort(result.folder).patients["label"].to_list() == [None] * 6
    assert pl.read_csv(result.truth)["label"].null_count() == 0


def test_fewest_goes_before_most() -> None:
    with pytest.raises(SettingsError, match="fewest before the most"):
        DrawPatientsSettings.build({"cells": (9, 3)})


def test_a_scan_counts_each_label(drawn: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    result = scan_patients(ScanPatientsSettings(path=drawn, check=True), progress=lambda *told: seen.append(told))
    truth = pl.read_csv(drawn / "truth.csv")
    assert result.groups["label"].to_list() == ["reactive", "tumoral"]
    assert result.groups["patients"].to_list() == [3, 3]
    assert result.groups["cells"].to_list() == truth.group_by("label").len().sort("label")["len"].to_list()
    sizes = truth.filter(pl.col("label") == 1).group_by("patient_id").len()["len"]
    assert result.groups.select("fewest", "median", "most").row(1) == (sizes.min(), sizes.median(), sizes.max())
    assert result.groups["age"][1] == open_cohort(drawn).patients.filter(pl.col("label") == 1)["age"].median()
    assert result.problems.is_empty()
    assert seen[-1] == ("looking at images", len(truth), len(truth))


def test_a_scan_names_every_problem_and_writes_them(tmp_path: Path) -> None:
    root = draw_patients(SMALL.model_copy(update={"patients": 2}), tmp_path / "ward").folder
    (root / "D2" / "cell_002.png").write_bytes(b"no image")
    write(
        root / "patients.csv", "patient_id,label,birth_date,lymphocytes\nD1,1,1950-03-28,\nD2,,1950-03-28,5\nD3,0,,5\n"
    )
    settings = ScanPatientsSettings(path=root, check=True, reference_date=date(2020, 1, 1))
    result = scan_patients(settings, tmp_path / "problems.csv")
    assert result.problems.select("patient_id", "reason").rows() == [
        ("D1", "missing_count"), ("D3", "missing_age"), ("D3", "no_images"), ("D2", "not_an_image"),
    ]  # fmt: skip
    assert result.groups["label"].to_list() == ["tumoral", "unknown"]
    assert pl.read_csv(tmp_path / "problems.csv", schema=PROBLEM_SCHEMA).equals(result.problems)
    assert result.problems["message"][3].startswith("D2/cell_002.png: not an image")
    told = (tmp_path / "problems.csv").read_text()
    assert "1950" not in told
    assert str(tmp_path) not in told


def test_a_file_that_two_patients_share_is_named(tmp_path: Path) -> None:
    root = draw_patients(SMALL.model_copy(update={"patients": 2}), tmp_path / "ward").folder
    (root / "D2" / "cell_001.png").write_bytes((root / "D1" / "cell_002.png").read_bytes())
    result = scan_patients(ScanPatientsSettings(path=root))
    assert result.problems["reason"].to_list() == ["same_image"]
    assert "D2/cell_001.png: is the same file as D1/cell_002.png of patient D1" in result.problems["message"][0]
    assert result.groups["cells"].sum() == open_cohort(root).cells.height


def test_a_copy_in_the_folder_of_a_patient_counts_once(tmp_path: Path) -> None:
    root = draw_patients(SMALL.model_copy(update={"patients": 2}), tmp_path / "ward").folder
    before = open_cohort(root).cells.height
    for name in ("cell_001 - Copy.png", "cell_001 (1).png"):
        (root / "D1" / name).write_bytes((root / "D1" / "cell_001.png").read_bytes())
    (root / "D1" / "empty.png").touch()
    (root / "D1" / "empty2.png").touch()
    result = scan_patients(ScanPatientsSettings(path=root))
    assert result.problems.select("patient_id", "reason").rows() == [("D1", "same_image")] * 2
    assert result.groups["cells"].sum() == before + 2  # what is empty fails where it is read


def test_a_scan_of_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no table of patients"):
        scan_patients(ScanPatientsSettings(path=tmp_path))
