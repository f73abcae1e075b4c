"""A night of drawn slides, and a plan of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from leukopy.cluster.merge import MergeResult, merge
from leukopy.cluster.planning import make_plan
from leukopy.cluster.run import RunOptions, run_plan
from leukopy.cluster.settings import PlanSettings

NAMES = ("007", "b", "c", "d", "e")
CELLS = 12


@pytest.fixture
def night(colour_model, tmp_path: Path) -> Path:
    """Five slides; the second has two broken pictures and a copy, a sixth folder is empty."""
    folder = tmp_path / "night"
    for number, name in enumerate(NAMES):
        for index in range(CELLS):
            colour_model.draw(folder / name / f"{name}{index:02}.png", ("SNE", "LY", "MO")[(number + index) % 3])
    (folder / "b" / "b00.png").write_text("no picture")
    (folder / "b" / "b01.png").write_bytes(b"")
    shutil.copy(folder / "b" / "b02.png", folder / "b" / "b02 (1).png")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def plan_of(colour_model):
    """Make a plan of an input."""

    def make(given: Path | str, out: Path | str, **settings):
        values = {"input": str(given), "input_kind": "cells", "model": str(colour_model.path), "shard_images": 25}
        return make_plan(PlanSettings.build(values | settings), str(out))

    return make


def run(out: Path | str, **options):
    return run_plan(str(out), RunOptions(**{"processes": 1} | options))


def results(out: Path | str, folder: Path) -> dict[str, bytes]:
    """Every table of the merged results, sorted, as bytes."""
    found: MergeResult = merge(str(out), folder)
    assert found.folder == folder
    tables = {path.relative_to(folder).as_posix(): pl.read_parquet(path) for path in sorted(folder.rglob("*.parquet"))}
    return {name: table.sort(table.columns[:2]).write_csv().encode() for name, table in tables.items()}
