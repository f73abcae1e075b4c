"""Train the shapes of red cells on drawn fields in the layout of RBC-12."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
from leukopy.core.errors import OutputError, TrainingError
from leukopy.datasets.field_split import field_split
from leukopy.datasets.red_cell_points import UM_PER_PX, repeats
from leukopy.synthesis.field import draw_random_field
from leukopy.synthesis.scene import Scene
from leukopy.taxonomy.objects import RED_CELL
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES
from leukopy.training.red_cell_shapes.settings import RedCellOptimisation, RedCellSettings
from leukopy.workflows.train_red_cell_shapes import train_red_cell_shapes

SETTINGS = RedCellSettings(
    kind="red_cell_shapes", name="n", title="t", description="d", width=4,
    optimisation=RedCellOptimisation(epochs=1, batch_size=16),
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One drawn field in the training and one in the validation split, each red cell marked as one of two shapes."""
    root = tmp_path / "data"
    rows = ["file,x,y,rbc_type"]
    for seed, split in enumerate(("train", "val")):
        name = next(file for file, own in field_split().items() if own == split and "rbc12" in file)
        assert name not in repeats()
        drawn = draw_random_field(seed, size=(240, 320), um_per_px=UM_PER_PX, scene=Scene())
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.image).save(root / name)
        short = name.removeprefix("fields/chula_rbc12/")
        own = [one for one in drawn.objects if one.kind == RED_CELL and not one.cut]
        rows += [
            f"{short},{one.left + one.width // 2},{one.top + one.height // 2},{place % 2}"
            for place, one in enumerate(own)
        ]
    (root / "fields/chula_rbc12/points.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("LEUKOPY_DATA", str(root))
    return root


def test_a_training_writes_a_bundle_and_goes_on_only_with_its_own_recipe(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    bundle = open_red_cell_shapes(train_red_cell_shapes(SETTINGS, out))
    assert bundle.card.shapes == SHAPE_NAMES
    assert bundle.card.trained_on[0].images > 10
    assert {metric.name for metric in bundle.card.metrics} == {"accuracy (validation)", "macro F1 (validation)"}
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    with pytest.raises(OutputError, match="cannot be resumed"):
        train_red_cell_shapes(SETTINGS.model_copy(update={"width": 8}), out, resume=True)


def test_no_fields_are_told(data: Path, tmp_path: Path) -> None:
    (data / "fields/chula_rbc12/points.csv").write_text("file,x,y,rbc_type\n")
    with pytest.raises(TrainingError, match="no field in its split train"):
        train_red_cell_shapes(SETTINGS, tmp_path / "run")
