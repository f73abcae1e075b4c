"""The wheel serves by itself: installed into a fresh environment without torch, ray and openslide."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parents[2]
ABSENT = ("torch", "torchvision", "timm", "lightning", "onnx", "ray", "openslide", "fastapi", "sqlalchemy", "plotly")

pytestmark = pytest.mark.slow

_PREDICT = f"""
import importlib.util, json, sys
from pathlib import Path

import leukopy

result = leukopy.load("default").predict([str(path) for path in sorted(Path(sys.argv[1]).glob("*.png"))])
print(json.dumps({{
    "installed": [name for name in {ABSENT} if importlib.util.find_spec(name)],
    "file": leukopy.__file__,
    "cell_id": result.cells["cell_id"].to_list(),
    "fine": result.cells["fine"].to_list(),
    "failures": len(result.failures),
}}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--dest", folder, "hatchling"], check=False
    ).returncode:
        pytest.skip("no package index can be reached: the wheel is not built")
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "dist", ROOT], check=True)
    (wheel,) = (folder / "dist").glob("leukopy-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    commands = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    install = [commands / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    return commands


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def run(work: Path, command: Path, words: str) -> str:
    """Standard output of a command, which must succeed, without this process's packages."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [command, *shlex.split(words)], cwd=work, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_drawn_slide_is_analysed(environment: Path, work: Path) -> None:
    run(work, environment / "leukopy", "draw --cells 30 --out slide")
    said = run(work, environment / "leukopy", "analyze slide/cells --out results")
    assert "Research use only" in said
    truth = pl.read_csv(work / "slide" / "truth.csv")
    found = pl.read_parquet(work / "results" / "cells.parquet")
    both = truth.join(found, on="cell_id", validate="1:1")
    assert len(both) == 30
    assert both.filter(pl.col("label") == pl.col("fine")).height >= 24
    assert (work / "results" / "report.html").exists()


def test_the_demo_compares_with_the_truth(environment: Path, work: Path) -> None:
    said = run(work, environment / "leukopy", "demo --out demo")
    assert re.search(r"20 drawn fields.+drawn.+found.+lymphocyte\D+\d+\D+\d+", said, re.S)
    assert (work / "demo" / "results" / "report.html").exists()


def test_the_library_predicts_alike(environment: Path, work: Path) -> None:
    (work / "predict.py").write_text(_PREDICT, "utf-8")
    found = json.loads(run(work, environment / "python", "predict.py slide/cells"))
    assert found["installed"] == []
    assert Path(found["file"]).is_relative_to(environment.parent)
    assert found["failures"] == 0
    analysed = pl.read_parquet(work / "results" / "cells.parquet").sort("cell_id")
    assert [Path(one).name for one in found["cell_id"]] == [Path(one).name for one in analysed["cell_id"]]
    assert found["fine"] == analysed["fine"].to_list()


def test_drawn_patients_are_judged(environment: Path, work: Path) -> None:
    run(work, environment / "leukopy", "patients draw --patients 4 --cells 20 30 --out ward")
    run(work, environment / "leukopy", "patients predict ward --out triage")
    judged = pl.read_csv(work / "triage" / "patients.csv")
    assert len(judged) == 4
    assert set(judged["decision"]) <= {"tumoral", "reactive"}
    assert "Research use only" in (work / "triage" / "report.html").read_text("utf-8")
