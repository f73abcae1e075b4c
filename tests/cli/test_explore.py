"""The examples in the help of ``leukopy study explore`` are run as they stand, on small copies of what they name."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import store
from leukopy.cli.main import app
from leukopy.cli.study.explore import explore

FILES = (
    *(f"data/{name}/{file}" for name in ("PBC_dataset_normal_DIB", "pbc")
      for file in ("lymphocyte/LY_1.jpg", "neutrophil/SNE_2.jpg", "platelet/PLATELET_3.jpg")),
    "data/raabin/Train/Basophil/95-5-4-1_20_2.jpg",
    "slide3/c17.jpg",
)  # fmt: skip


def test_the_examples_run_one_after_the_other(build_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_bundle(tmp_path / "assets" / "default")
    for number, file in enumerate(FILES):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((40, 40)).save(path)
    (tmp_path / "my_slides.csv").write_text("path,label\nslide3/c17.jpg,monocyte\n")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in (explore.__doc__ or "").splitlines()]
    examples = [line for line in lines if line.startswith("leukopy ")]
    assert len(examples) == 4
    for example in examples:
        result = CliRunner().invoke(app, shlex.split(example)[1:])
        assert result.exit_code == 0, (example, result.output)
