"""`leukopy patients predict` and `report`: the examples of their help, exit codes, and what is said."""

from __future__ import annotations

import shlex
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.cli.patients.predict import predict, report
from leukopy.core.errors import EXIT_ERROR, EXIT_FAILURES, EXIT_OK
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients import store as patient_store

EXAMPLES = [
    line.strip()
    for verb in (predict, report)
    for line in (verb.__doc__ or "").splitlines()
    if line.strip().startswith("leukopy ")
]


@pytest.fixture
def ward(build_patient_model, colour_model, tmp_path, monkeypatch):
    """A cohort of two in the folder that is worked in, and a bundled model."""
    directions = np.array([[0], [2], [0]], np.float32)
    build_patient_model(tmp_path / "models" / "lymphocytosis", colour_model.path, directions, None, -1.2)
    monkeypatch.setattr(patient_store, "_patient_assets", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    listed = ["patient_id,path"]
    for number in range(3):
        colour_model.draw(tmp_path / "ward" / "P1" / f"{number}.png", "LY", width=64 + number)
        colour_model.draw_pale(tmp_path / "ward" / "P2" / f"{number}.png", width=64 + number)
        listed += [f"{patient_id},{patient_id}/{number}.png" for patient_id in ("P1", "P2")]
    (tmp_path / "ward" / "patients.csv").write_text("patient_id,age,lymphocytes\nP1,60,8\nP2,60,8\n")
    (tmp_path / "ward" / "cells.csv").write_text("\n".join(listed))
    return tmp_path / "ward"


def run(*words):
    return CliRunner().invoke(app, ["patients", *map(str, words)])


def test_examples_run_one_after_the_other(ward):
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        result = CliRunner().invoke(app, shlex.split(example)[1:])
        assert result.exit_code == EXIT_OK, (example, result.output)
    assert RESEARCH_USE_ONLY in (ward.parent / "results" / "ward-triage" / "report.html").read_text()


def test_what_is_printed(ward):
    result = run("predict", ward, "--out", "out")
    assert result.exit_code == EXIT_OK
    assert RESEARCH_USE_ONLY in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.startswith("│ P")]
    for line, patient, decision in zip(lines, ("P1", "P2"), ("tumoral", "reactive"), strict=True):
        assert patient in line
        assert decision in line
    assert "Report: out/report.html" in result.stderr


def test_failures_make_the_exit_code_3(ward):
    (ward / "P2" / "9.png").write_text("no picture")
    result = run("predict", ward, "--out", "out", "--no-pages")
    assert result.exit_code == EXIT_FAILURES
    assert "1 images or patients failed: out/failures.csv" in result.stderr
    assert "Tables: out" in result.stderr


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("patient_id,age,lymphocytes\nP1,60,8000\nP2,60,8\n", "looks like cells/µL"),
        ("patient_id,age,lymphocytes\nP1,,8\nP2,60,8\n", "the age is missing"),
        ("patient_id,age,lymphocytes\nP1,60,8\nP2,60,8\nP3,60,8\n", "patient P3: has no image"),
    ],
)
def test_what_a_scan_calls_a_problem_makes_the_exit_code_3(ward, table, told):
    (ward / "patients.csv").write_text(table, encoding="utf-8")
    scanned, judged = run("scan", ward), run("predict", ward, "--out", "out", "--no-pages")
    assert scanned.exit_code == judged.exit_code == EXIT_FAILURES
    assert told in scanned.stderr
    assert told in judged.stderr
    assert "1 problems of table and folders: out/problems.csv" in judged.stderr
    assert len((ward.parent / "out" / "patients.csv").read_text().splitlines()) == 3


def test_pictures_of_other_cells_make_the_exit_code_3(ward, colour_model):
    for number in range(3):
        colour_model.draw(ward / "P2" / f"{number}.png", "PLT", width=70 + number)
    result = run("predict", ward, "--out", "out", "--no-pages")
    assert result.exit_code == EXIT_FAILURES
    assert "too few lymphocytes" in " ".join(result.stdout.split())
    assert "1 images or patients failed: out/failures.csv" in result.stderr


def test_a_saved_run_is_repeated(ward):
    run("predict", ward, "--out", "first", "--operating-point", "triage", "--shown", "1")
    result = run("predict", "--config", "first/run.json", "--out", "second")
    assert result.exit_code == EXIT_OK, result.output
    first, second = ((ward.parent / name / "patients.csv").read_text() for name in ("first", "second"))
    assert first == second
    assert "triage" in second


def test_judging_patients_needs_no_torch(ward):
    absent = "import sys; sys.modules.update(dict.fromkeys(('torch', 'timm', 'lightning', 'onnx', 'onnxscript')));"
    code = f"{absent} from leukopy.cli.main import main; main()"
    words = ["patients", "predict", "ward", "--model", "models/lymphocytosis", "--out", "out"]
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == EXIT_OK, ran.stderr
    assert (ward.parent / "out" / "patients" / "P1.html").is_file()


def test_errors_are_one_line(ward):
    for words in (
        ["predict", "nowhere", "--out", "out"],
        ["predict", ward, "--out", "out", "--model", "best"],
        ["report", "."],
    ):
        result = run(*words)
        assert result.exit_code == EXIT_ERROR
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stderr.startswith("leukopy: ")
    assert run("predict", "--out", "out").exit_code == 2
