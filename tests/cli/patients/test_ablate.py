"""`leukopy study ablate` and `demo`: the examples of their help, exit codes, and what is said."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.cli.patients.demo import demo
from leukopy.cli.study.ablate import ablate
from leukopy.core.errors import EXIT_FAILURES, EXIT_OK
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients import store as patient_store
from support.files import CONFIGS

USAGE = 2


def examples(verb):
    return [line.strip() for line in verb.__doc__.splitlines() if line.strip().startswith("leukopy ")]


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def ward(colour_model, tmp_path, monkeypatch):
    """Four patients, where the examples look for them: in the folder that is worked in and below the data folder."""
    ward = tmp_path / "ward"
    for number in range(4):
        for cell in range(2):
            colour_model.draw(ward / f"P{number}" / f"{cell}.png", ("SNE", "LY")[number % 2])
    (ward / "patients.csv").write_text("patient_id,label,age,lymphocytes\nP0,0,60,8\nP1,1,60,8\nP2,0,60,8\nP3,1,60,8\n")
    shutil.copytree(ward, tmp_path / "patients" / "lymphocytosis")
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return ward


@pytest.fixture
def small(colour_model):
    """What makes an ablation one of a second."""
    return ("--set", f"model={colour_model.path}", "--set", "net.epochs=1", "--set", "folds=2")


def test_the_examples_of_ablate_run_one_after_the_other(ward, small):
    found = examples(ablate)
    assert len(found) == 4
    for example in found:
        words = shlex.split(example)[1:]
        on_pictures = "seed_resnet18" in example
        smaller = ["net.pictures.backbone.name=lenet", "net.pictures.preprocess.size=32"] if on_pictures else []
        result = run(*words, *small, *(word for change in smaller for word in ("--set", change)))
        assert result.exit_code == EXIT_OK, (example, result.output)
        assert RESEARCH_USE_ONLY in result.stdout
        assert "ablation.md" in result.stderr
    assert {path.name for path in (ward.parent / "runs").iterdir()} == {"grid", "frozen", "seed"}


@pytest.mark.slow
def test_a_saved_run_is_repeated(ward, small):
    run("study", "ablate", ward, "--out", "first", *small, "--set", "optimisers=[adam]")
    result = run("study", "ablate", "--config", "first/run.json", "--out", "second")
    assert result.exit_code == EXIT_OK, result.output
    first, second = (Path(name, "ablation.csv").read_text() for name in ("first", "second"))
    assert first == second
    assert "SGD" not in first


def test_unreadable_images_make_the_exit_code_3(ward, small):
    (ward / "P1" / "9.png").write_text("no picture")
    result = run("study", "ablate", ward, "--out", "out", *small)
    assert result.exit_code == EXIT_FAILURES
    assert "1 images were left out: out/failures.csv" in result.stderr


def test_without_a_cohort(ward):
    assert run("study", "ablate", "--out", "out").exit_code == USAGE


@pytest.fixture
def bundled(build_patient_model, colour_model, tmp_path, monkeypatch):
    build_patient_model(tmp_path / "models" / "lymphocytosis", colour_model.path, np.zeros((3, 1), np.float32))
    monkeypatch.setattr(patient_store, "_patient_assets", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_examples_of_demo_run_as_they_stand(bundled):
    for example in examples(demo):
        result = run(*shlex.split(example)[1:], *(() if "--patients" in example else ("--patients", "2")))
        assert result.exit_code == EXIT_OK, (example, result.output)
    assert len([line for line in result.stdout.splitlines() if line.startswith("│ D")]) == 3
    assert RESEARCH_USE_ONLY in result.stdout
    assert "drawn, not real" in result.stderr
    assert "measures nothing clinical" in result.stderr
    assert "Report: try/results/report.html" in result.stderr
    again = run("patients", "demo", "--config", "try/run.json", "--out", "again")
    assert again.stdout == result.stdout
