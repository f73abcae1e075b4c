"""Strangeness grows as less speaks for any class, and as what speaks is divided between classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.core.progress import silent
from leukopy.taxonomy import FINE
from leukopy.training.open_set import StrangenessSettings, look, strangeness_of

HEAD = (np.eye(11, dtype=np.float32), np.zeros(11, np.float32))
"""The embedding is the logits."""
INDEX = {cell.code: index for index, cell in enumerate(FINE)}


def of(**values: float) -> float:
    """Strangeness of a cell with these logits, and -2 for the other classes."""
    row = np.full((1, 11), -2, np.float32)
    for code, value in values.items():
        row[0, INDEX[code]] = value
    return float(strangeness_of(HEAD, row, StrangenessSettings())[0])


def test_strange_is_what_little_speaks_for_and_what_is_divided() -> None:
    plain = of(LY=8)
    assert of(LY=3) > 1.5 * plain
    assert of(LY=7, MO=7) > plain
    assert of(LY=12) < plain
    assert of(SNE=7, BNE=7) < of(LY=7, MO=7)  # two kinds of one coarse class: no doubt about that


def test_energy_alone_where_doubt_weighs_nothing() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, 11)).astype(np.float32)
    found = strangeness_of(HEAD, logits, StrangenessSettings(temperature=2, doubt=0))
    assert found == pytest.approx(1 / np.exp(logits.astype(float) / 2).sum(axis=1))


def test_looking_skips_what_cannot_be_read_and_draws_what_is_drawn(colour_model, tmp_path: Path) -> None:
    good = colour_model.draw(tmp_path / "good.png", "LY")
    (tmp_path / "bad.png").write_text("no picture")
    paths = [str(good), str(tmp_path / "bad.png"), "drawn:EO:3"]
    cells = pl.DataFrame({"cell_id": ["good", "bad", "drawn"], "path": paths, "code": ["LY", "LY", "EO"]})
    seen = look(open_bundle(colour_model.path), cells, tmp_path / "cache", silent, ("logits", "embedding"))
    assert seen.cells["cell_id"].to_list() == ["good", "drawn"]
    assert seen.failures["cell_id"].to_list() == ["bad"]
    assert [seen.outputs[name].shape for name in ("logits", "embedding")] == [(2, 11), (2, 3)]
    assert (seen.pictures(np.array([0])) == np.asarray(Image.open(good).resize((32, 32)))).all()
    nothing = look(open_bundle(colour_model.path), cells.head(0), tmp_path / "cache", silent)
    assert nothing.outputs["embedding"].shape == (0, 3)
