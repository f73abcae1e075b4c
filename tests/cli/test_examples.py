"""The examples in the help of the main verbs are run as they stand."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from leukopy.bundle import store
from leukopy.cli.analyze import analyze
from leukopy.cli.main import app
from leukopy.cli.model import cards as models
from leukopy.cli.predict import predict
from leukopy.synthesis import draw_field
from support.found import save_pixels
from support.slides import levels_of, write_svs

EXAMPLES = [
    [line.strip() for line in (verb.__doc__ or "").splitlines() if line.strip().startswith("leukopy ")]
    for verb in (analyze, predict, models.list_, models.show)
]


@pytest.mark.parametrize("examples", EXAMPLES, ids=lambda examples: " ".join(examples[0].split()[:3]))
def test_examples_run_one_after_the_other(examples, build_bundle, colour_model, tmp_path, monkeypatch):
    build_bundle(tmp_path / "assets" / "default")
    build_bundle(tmp_path / "runs" / "new" / "bundle")
    colour_model.draw(tmp_path / "slide3" / "c17.jpg", "LY")
    field = draw_field({"LY": 2}, seed=1, size=(480, 640)).image
    save_pixels(tmp_path / "photographs" / "f1.png", field)
    (tmp_path / "scans").mkdir()
    for slide in ("smear.svs", "scans/a.svs"):
        write_svs(tmp_path / slide, levels_of(np.tile(field, (4, 4, 1))))
    (tmp_path / "slide3.csv").write_text("path\nslide3/c17.jpg\n")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (example, result.output)
