"""What the machine has, and what to do about what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leukopy.bundle import store
from leukopy.cli.main import app
from leukopy.core.errors import BundleError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.workflows import doctor as module
from leukopy.workflows.doctor import DoctorSettings, doctor

QUIET = DoctorSettings(seconds=0)


@pytest.fixture(autouse=True)
def _shipped(build_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that ships one small model; an environment without variables of leukopy."""
    build_bundle(tmp_path / "assets" / "colours")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    for name in module.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_sound_machine() -> None:
    found = doctor(QUIET)
    assert found.healthy
    assert 1 <= found.machine.cores <= found.machine.cores_of_machine
    assert found.machine.memory is None or found.machine.memory > 2**28
    assert [disk.place for disk in found.disks] == ["current folder", "temporary files", "cache"]
    assert all(disk.free > 0 for disk in found.disks)
    assert found.runtimes["onnxruntime"].startswith(metadata.version("onnxruntime"))
    assert "CPU" in found.runtimes["onnxruntime"]
    ((name, size, problem),) = [(model.name, model.size, model.problem) for model in found.models]
    assert (name, problem) == ("colours", None)
    assert size == sum(file.stat().st_size for file in (store._assets() / "colours").iterdir())
    assert (found.environment, found.speed) == ({}, None)


def test_the_speed_is_that_of_the_engine(colour_model) -> None:
    seen = []
    settings = DoctorSettings(seconds=0.1, model=str(colour_model.path))
    found = doctor(settings, progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert found.speed is not None
    assert min(found.speed.images_per_s, found.speed.decoded_per_s) > 0
    assert seen[23] == ("drawing cells", 24, 24)
    assert {stage for stage, _, _ in seen} >= {"files to rows, seconds", "decoding alone, seconds"}
    with pytest.raises(BundleError, match="nowhere"):
        doctor(DoctorSettings(seconds=1, model="nowhere"))


def test_a_model_that_cannot_run_is_named_and_the_exit_code_tells(tmp_path: Path) -> None:
    (tmp_path / "assets" / "colours" / "model.onnx").write_bytes(b"cut short")

    def broken() -> Path:
        raise BundleError("it is gone.")

    found = doctor(QUIET, {"patients/x": broken})
    assert not found.healthy
    assert [model.problem for model in found.models if model.name == "patients/x"] == ["it is gone."]
    assert "is not the file its card describes" in (found.models[0].problem or "")
    assert sum("cannot run; install it again" in line for line in found.advice) == 2
    result = CliRunner().invoke(app, ["doctor", "--seconds", "0"])
    assert result.exit_code == 1


def test_extras_are_those_of_the_package_and_what_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy<3", "numpy<3; extra == 'train'", "no-such.package[x]<9,>=8; extra == 'train'",
              'other-absent; python_version > "3" and extra == "app"']  # fmt: skip
    monkeypatch.setattr(metadata, "requires", lambda _name: wanted)
    found = doctor(QUIET)
    assert {extra.name: extra.missing for extra in found.extras} == {
        "train": ("no-such.package",), "app": ("other-absent",), "study": (), "generate": (), "adapt": (), "heic": (),
        "slides": (), "openvino": (), "cluster": (), "mcp": (),
    }  # fmt: skip
    told = [line for line in found.advice if "pip install" in line]
    assert len(told) == 2
    assert any(line.endswith("pip install 'leukopy[train]'") for line in told)


def test_every_extra_that_people_install_is_looked_at() -> None:
    named = set(metadata.metadata("leukopy").get_all("Provides-Extra") or ())
    assert named - set(module.EXTRAS) <= {"dev", "docs"}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LEUKOPY_DTA", "x", "leukopy reads no such variable. It reads LEUKOPY_DATA"),
        ("LEUKOPY_DATA", "/nowhere/at/all", "there is no such folder"),
        ("LEUKOPY_RUNTIME", "tensorrt", "no such runtime"),
    ],
)
def test_odd_variables_are_told(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = list(module._odd({name: value}))
    assert len(advice) == 1
    assert advice[0].startswith(name)
    assert told in advice[0]


def test_little_memory_and_disk_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{2**30}\n")
    monkeypatch.setattr(module, "_LIMITS", (tmp_path / "absent", limit))
    assert doctor(QUIET).machine.memory == 2**30
    assert any(line.startswith("1.0 GiB of memory are little") for line in doctor(QUIET).advice)
    limit.write_text("max\n")
    unlimited = doctor(QUIET).machine.memory
    assert unlimited is None or unlimited > 2**30
    monkeypatch.setattr(module, "_LITTLE_DISK", 2**70)
    assert sum("GiB are free. Make room" in line for line in doctor(QUIET).advice) == 3


def test_as_json_and_as_a_table() -> None:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["doctor", "--seconds", "0", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"machine", "disks", "runtimes", "extras", "models", "environment", "speed", "advice"} == set(found)
    shown = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["doctor", "--seconds", "0"]).stdout
    for told in ("cores", "memory", "onnxruntime", "extra train", "model colours", RESEARCH_USE_ONLY):
        assert told in shown


def test_through_the_real_process_the_models_that_ship_run() -> None:
    code = "from leukopy.cli.main import main; main()"
    ran = subprocess.run([sys.executable, "-c", code, "doctor", "--seconds", "0", "--json"], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    models = {model["name"]: model for model in json.loads(ran.stdout)["models"]}
    assert set(models) == {"default", "patients/lymphocytosis"}
    assert all(model["problem"] is None and model["size"] > 1000 for model in models.values())
