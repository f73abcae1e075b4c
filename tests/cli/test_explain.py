"""The examples in the help of `explain` and `model index` are run as they stand."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from leukopy.bundle import open_bundle, store
from leukopy.cli.explain import explain
from leukopy.cli.main import app
from leukopy.cli.model.index import index
from leukopy.network.outputs import with_class_activation
from support.training_run import write_run


def examples(verb: object) -> list[str]:
    return [line.strip() for line in (verb.__doc__ or "").splitlines() if line.strip().startswith("leukopy ")]


@pytest.fixture
def place(build_bundle, colour_model, tmp_path: Path, monkeypatch) -> Path:
    """A folder with all that the examples name: a slide, a default model, a training run and its data set."""
    network = with_class_activation(onnx.load(open_bundle(colour_model.path).model_path)).SerializeToString()
    build_bundle(tmp_path / "assets" / "default", network=network)
    colour_model.draw(tmp_path / "slide3" / "c17.jpg", "LY")
    run = tmp_path / "runs" / "new"
    build_bundle(run / "bundle", network=write_run(run))
    colour_model.draw(tmp_path / "data" / "pbc" / "lymphocyte" / "LY_1.png", "LY")
    (tmp_path / "data" / "pbc" / "labels.csv").write_text("file,split\nlymphocyte/LY_1.png,train\n")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_run(place: Path) -> None:
    shown = [*examples(index), *examples(explain)]
    assert len(shown) >= 5
    for example in shown:
        result = CliRunner().invoke(app, shlex.split(example)[1:])
        assert result.exit_code == 0, (example, result.output)
    assert (place / "results" / "gradients" / "overlays" / "c17.jpg_grad-cam.png").exists()
    assert (place / "results" / "gradients" / "neighbours.csv").exists()  # of the index that the first example made


def test_an_image_that_cannot_be_indexed_makes_the_exit_code_3(place: Path) -> None:
    (place / "data" / "pbc" / "lymphocyte" / "LY_2.png").write_text("")
    (place / "data" / "pbc" / "labels.csv").write_text(
        "file,split\nlymphocyte/LY_1.png,train\nlymphocyte/LY_2.png,train\n"
    )
    result = CliRunner().invoke(app, shlex.split(examples(index)[0])[1:])
    assert result.exit_code == 3
    assert "1 of 1 training cells" in result.output
    assert "LY_2.png: " in result.output
    shutil.rmtree(place / "data" / "pbc" / "lymphocyte")
    assert CliRunner().invoke(app, shlex.split(examples(index)[0])[1:]).exit_code == 1
