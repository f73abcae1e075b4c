"""A slide of classified cells with known classes and probabilities, and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from leukopy import taxonomy
from leukopy.bundle import Calibration, Card, DatasetUse, Metric, ModelFile, Thresholds
from leukopy.imaging.preprocess import Preprocess
from leukopy.taxonomy import FINE
from support.classified import classified_cells


@pytest.fixture
def make_cells() -> Callable[..., pl.DataFrame]:
    return classified_cells


@pytest.fixture
def slide(tmp_path: Path) -> pl.DataFrame:
    """Twelve cells of three classes, each with a picture of its own colour."""
    cells = classified_cells({"SNE": 6, "EO": 2, "PLT": 4}, tmp_path / "slide")
    (tmp_path / "slide").mkdir()
    for number, path in enumerate(cells["path"]):
        Image.new("RGB", (40, 30), (20 * number, 90, 160)).save(path)
    return cells


@pytest.fixture
def card() -> Card:
    return Card(
        name="small",
        title="A small model",
        description="Eleven classes on one stain.",
        limits=("Trained on one laboratory only.",),
        licence="CC BY 4.0",
        taxonomy=taxonomy.digest(),
        classes=tuple(cell.code for cell in FINE),
        preprocess=Preprocess(),
        model=ModelFile(architecture="lenet", parameters=61_000, sha256="ab" * 32),
        calibration=Calibration(temperature=1.25, fitted_on="the val split"),
        thresholds=Thresholds(uncertain_below=0.6),
        trained_on=(DatasetUse(name="Drawn cells", licence="Apache-2.0", citation="leukopy 0.1", images=500),),
        metrics=(Metric(name="accuracy, coarse classes", value=0.987, low=0.98, high=0.993, data="the test split"),),
    )
