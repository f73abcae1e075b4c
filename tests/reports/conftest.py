"""A slide of classified cells with known classes and probabilities, and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy import taxonomy
from leukopy.bundle import Calibration, Card, DatasetUse, Metric, ModelFile, Thresholds
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.rows import CELL_SCHEMA
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

MakeCells = Callable[..., pl.DataFrame]


def _cells(counts: dict[str, int], folder: Path = Path("/nowhere")) -> pl.DataFrame:
    """``counts`` cells per fine class; the n-th of a class is the more certain, the larger n."""
    codes = [cell.code for cell in FINE]
    rows = []
    for code, count in counts.items():
        index = codes.index(code)
        for number in range(count):
            share = 0.5 + 0.5 * (number + 1) / (count + 1)
            fine = np.full(11, (1 - share) / 20)
            fine[index] = share
            fine[(index + 1) % 11] += (1 - share) / 2  # the second choice is the next class
            coarse = fine @ coarse_matrix()
            probabilities = {cell.code: value for cell, value in zip((*COARSE, *FINE), (*coarse, *fine), strict=True)}
            rows.append({
                "cell_id": f"slide/{code}_{number:03}.png",
                "path": str(folder / f"{code}_{number:03}.png"),
                "coarse": FINE[index].coarse,
                "fine": code,
                "confidence": float(coarse.max()),
                "fine_confidence": share,
                "flags": "uncertain" if share < 0.6 else "",
                "width": 40,
                "height": 30,
                "digest": "0" * 64,
                **{f"p_{name}": value for name, value in probabilities.items()},
            })  # fmt: skip
    return pl.DataFrame(rows, schema=CELL_SCHEMA)


@pytest.fixture
def make_cells() -> MakeCells:
    return _cells


@pytest.fixture
def slide(tmp_path: Path) -> pl.DataFrame:
    """Twelve cells of three classes, each with a picture of its own colour."""
    cells = _cells({"SNE": 6, "EO": 2, "PLT": 4}, tmp_path / "slide")
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
