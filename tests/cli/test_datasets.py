"""The three commands say what they found, where it lies, and exit with the right code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from leukopy.cli.main import main
from leukopy.core.errors import EXIT_ERROR, EXIT_FAILURES, EXIT_OK
from leukopy.datasets import DATASETS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("datasets")``: exit code, standard output and standard error of ``leukopy study datasets``."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leukopy", "study", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    root = tmp_path / "cells"
    for code in ("SNE", "EO"):
        (root / code).mkdir(parents=True)
        Image.linear_gradient("L").rotate(90 if code == "EO" else 0).save(root / code / "1.png")
    return root


def test_list_names_every_data_set(run: Run) -> None:
    code, out, _ = run("datasets")
    assert code == EXIT_OK
    for name, dataset in DATASETS.items():
        (line,) = (line for line in out.splitlines() if line.startswith(f"│ {name} "))
        assert dataset.card.licence in line
    assert "17,092" in out


@pytest.mark.parametrize("name", list(DATASETS))
def test_show_prints_the_card(run: Run, name: str) -> None:
    code, out, _ = run("datasets", name)
    words = " ".join(out.split())
    card = DATASETS[name].card
    assert code == EXIT_OK
    for text in (card.citation, card.licence, card.how_to_get, card.layout, *card.notes):
        assert text in words


def test_show_of_an_unknown_data_set_is_one_line(run: Run) -> None:
    code, out, err = run("datasets", "pcb")
    assert (code, out) == (EXIT_ERROR, "")
    assert err.startswith("leukopy: data set 'pcb' is unknown; known: pbc")
    assert err.count("\n") == 1


def test_scan_counts_classes_and_says_where_the_manifest_is(run: Run, cells: Path, tmp_path: Path) -> None:
    code, out, err = run("scan", "folders", cells, "--out", tmp_path / "out", "--audit", "--split", "50/0/50")
    assert code == EXIT_OK
    assert "SNE" in out
    assert "distinct cells" in out
    assert f"Manifest: {tmp_path / 'out' / 'manifest.parquet'}" in err
    assert set(pl.read_parquet(tmp_path / "out" / "manifest.parquet")["split"]) <= {"train", "test"}


def test_scan_with_failures_finishes_says_so_and_exits_non_zero(run: Run, cells: Path, tmp_path: Path) -> None:
    (cells / "EO" / "letter.png").write_text("not a picture")
    code, _, err = run("scan", "folders", cells, "--out", tmp_path / "out")
    assert code == EXIT_FAILURES
    assert f"Images that cannot be read: 1, listed in {tmp_path / 'out' / 'failures.csv'}" in err
    assert len(pl.read_parquet(tmp_path / "out" / "manifest.parquet")) == 2


def test_scan_of_a_folder_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    code, _, err = run("scan", "pbc", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert code == EXIT_ERROR
    assert err == f"leukopy: {tmp_path / 'nowhere'}: there is no such folder or manifest. Correct the path.\n"


@pytest.mark.parametrize("shares", ["70", "70/30", "a/b/c"])
def test_shares_that_are_not_three_numbers_are_wrong_usage(run: Run, cells: Path, tmp_path: Path, shares: str) -> None:
    code, _, err = run("scan", "folders", cells, "--out", tmp_path / "out", "--split", shares)
    assert code == 2
    assert "70/10/20" in err
