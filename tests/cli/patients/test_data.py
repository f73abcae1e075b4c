"""`leukopy patients scan` and `patients draw`: the examples of their help, exit codes, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from leukopy.cli.patients.data import cohorts, draw, scan
from leukopy.core.errors import EXIT_FAILURES, EXIT_OK
from leukopy.core.provenance import RESEARCH_USE_ONLY

app = typer.Typer()
app.command()(scan)
app.command()(draw)
app.command()(cohorts)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words, catch_exceptions=False)


def examples(verb: object) -> list[list[str]]:
    lines = (line.strip() for line in (verb.__doc__ or "").splitlines())
    return [line.split()[2:] for line in lines if line.startswith("leukopy patients ")]


def test_the_examples_of_draw_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in examples(draw):
        result = run(*words, "--patients", "2", "--size", "32")  # the same in a second
        assert result.exit_code == EXIT_OK, (words, result.output)
        assert RESEARCH_USE_ONLY in result.stderr
        assert "not real" in result.stderr
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "again" / "patients.csv").read_bytes() == (tmp_path / "drawn" / "patients.csv").read_bytes()


def test_the_examples_of_scan_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("ward", "lymphocytosis"):
        assert run("draw", "--out", folder, "--patients", "3", "--cells", "1", "3", "--size", "32").exit_code == EXIT_OK
    (tmp_path / "ward" / "truth.csv").rename(tmp_path / "ward" / "cells.csv")
    table = tmp_path / "lymphocytosis" / "patients.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    table.write_text("ID,LABEL,GENDER,DOB,LYMPH_COUNT\n" + "".join(
        f"{patient_id},{label},{gender},3/28/1950,{count}\n" for patient_id, label, _, count, gender in rows
    ))  # fmt: skip
    told = []
    for words in examples(scan):
        result = run(*words)
        assert result.exit_code == EXIT_OK, (words, result.output)
        assert "3 patients" in result.stdout
        told.append(result.stderr)
    assert "2020-01-01, which is assumed" in told[-1]
    assert (tmp_path / "problems.csv").read_text().splitlines() == ["patient_id,reason,message"]


def test_problems_are_told_and_make_the_exit_code_3(tmp_path: Path) -> None:
    assert (
        run("draw", "--out", str(tmp_path / "p"), "--patients", "1", "--cells", "1", "1", "--size", "32").exit_code == 0
    )
    rows = "".join(f"X{number},1,60,5,F\n" for number in range(30))
    with (tmp_path / "p" / "patients.csv").open("a") as table:
        table.write(rows)
    result = run("scan", str(tmp_path / "p"))
    assert result.exit_code == EXIT_FAILURES
    assert "patient X3: has no image" in result.stderr
    assert "10 more; --out problems.csv lists all" in result.stderr
    listed = run("scan", str(tmp_path / "p"), "--out", str(tmp_path / "all.csv"))
    assert "Problems: 30, listed in" in listed.stderr
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 31


def test_a_wrong_date_is_wrong_usage(tmp_path: Path) -> None:
    assert run("scan", str(tmp_path), "--reference-date", "28/03/2020").exit_code == 2


def test_newcomers_find_the_cohorts_and_their_licence() -> None:
    listed, card = (run(*words) for words in examples(cohorts))
    assert "lymphocytosis" in listed.stdout
    assert "13,453" in listed.stdout
    assert "none stated: not distributed" in card.stdout
    assert "1 January 2020" in card.stdout.replace("\n", " ")
