from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from leukopy.evaluation.transfer import score_transfer
from leukopy.reports.transfer import TransferRow, matrix, write_transfer


def _scores(hits: int):
    """Ten cells of two classes, ``hits`` of them right."""
    truth = np.arange(10) % 2
    answer = np.where(np.arange(10) < hits, truth, 1 - truth)
    return score_transfer(truth, np.eye(8)[answer] * 0.93 + 0.01, replicates=100)


@pytest.fixture
def rows():
    return [
        TransferRow("one", "PBC alone", 0, "raabin", "all", _scores(8)),
        TransferRow("one", "PBC alone", 1, "raabin", "all", _scores(6)),
        TransferRow("one", "PBC alone", 0, "chula", "all", _scores(4)),
        TransferRow("one", "PBC alone", 1, "chula", "all", _scores(4)),
        TransferRow("one", "PBC alone", 0, "pbc", "test", _scores(10)),
    ]


def test_the_mean_runs_over_seeds_and_over_laboratories_never_seen(rows, tmp_path):
    write_transfer(tmp_path, "A test", rows, {"commit": "abc"})
    table = pl.read_csv(tmp_path / "transfer.csv")
    assert len(table) == 10  # two levels each
    assert table.filter(laboratory="raabin", answers="held")["balanced_accuracy"].to_list() == [0.8, 0.6]
    summary = (tmp_path / "summary.md").read_text()
    # Raabin .7, Chula .4; the test split of the training laboratory does not count.
    assert "| PBC alone | 0.700 ± 0.141 | 0.400 ± 0.000 | *1.000* | 0.550 |" in summary
    assert "esearch use only" in summary
    assert json.loads((tmp_path / "transfer.json").read_text())["commit"] == "abc"


def test_recalls_and_the_picture_are_written(rows, tmp_path):
    write_transfer(tmp_path, "A test", rows, {})
    recalls = pl.read_csv(tmp_path / "recalls.csv")
    assert recalls.filter(laboratory="raabin", seed=0, answers="held")["recall"].to_list() == [0.8, 0.8]
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")


def test_arms_that_leave_one_laboratory_out_have_a_mean_over_them(rows):
    assert all("left out" not in row[0] for row in matrix(rows, "accuracy", "held"))
    rows += [
        TransferRow("a", "All but Raabin", 0, "raabin", "all", _scores(9)),
        TransferRow("b", "All but Chula", 0, "chula", "all", _scores(6)),
        TransferRow("b", "All but Chula", 0, "pbc", "test", _scores(10)),
    ]
    assert matrix(rows, "accuracy", "held")[-1] == ["each time, one left out", "", "", "", "0.750"]
