"""The model that ships can be explained: without torch, in the right place, by training cells of the right class."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.datasets import open_dataset
from leukopy.explain import METHODS, Subject, centre_heat, heat_share, nearest, of_all_views, read_index
from leukopy.explain.neighbours import INDEX_FILE
from leukopy.inference import activations, embeddings
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE

COMMAND = """
import sys
for absent in ("torch", "torchvision", "timm", "lightning", "onnx", "pytorch_grad_cam"):
    sys.modules[absent] = None  # importing one raises ImportError
from leukopy.cli.main import main
main()
"""


def test_it_is_explained_without_torch(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(draw_cell("EO", seed=5, size=200).image).save(tmp_path / "eo.png")
    command = [sys.executable, "-c", COMMAND, "explain", str(tmp_path / "eo.png"), "--steps", "4"]
    ran = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert pl.read_csv(tmp_path / "out" / "neighbours.csv").height == 5
    assert (tmp_path / "out" / "overlays" / "eo.png_cam.png").stat().st_size > 10_000
    refused = subprocess.run(
        [*command, "--method", "grad-cam", "--out", str(tmp_path / "other")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "use --method cam" in refused.stderr


def test_heat_lies_on_drawn_cells_wherever_they_are() -> None:
    """More of the heat is in a cell than its share of the picture; moved off the middle, more than the middle holds."""
    bundle = open_bundle("default")
    side = bundle.card.preprocess.size
    drawn = [draw_cell(cell.code, seed=index, size=side) for index, cell in enumerate(FINE)]
    reach = side // 5
    pictures, masks = [], []
    for index, cell in enumerate(drawn):
        step = reach * np.array([(-1) ** index, (-1) ** (index // 2)])
        top, left = reach - step
        padded = np.pad(cell.image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        pictures.append(padded[top : top + side, left : left + side])
        masks.append(np.pad(cell.cell_mask, reach)[top : top + side, left : left + side])
    stacked = np.stack(pictures)
    classes = activations(bundle, stacked, ["logits"])["logits"].argmax(axis=1)
    heats = of_all_views(METHODS["cam"].open(Subject(bundle)))(stacked, classes)
    inside = np.mean([heat_share(heat, mask) for heat, mask in zip(heats, masks, strict=True)])
    assert inside > 2 * np.mean(masks)
    assert inside > 1.3 * np.mean([heat_share(centre_heat(side), mask) for mask in masks])


def test_its_index_is_small_and_holds_training_cells_of_every_class() -> None:
    bundle = open_bundle("default")
    index = read_index(bundle)
    assert index is not None
    assert (bundle.path / INDEX_FILE).stat().st_size <= 3_000_000
    assert set(index.codes) == {cell.code for cell in FINE}
    assert all(cell_id.startswith("pbc/") for cell_id in index.cell_ids)
    assert len(set(index.cell_ids)) == len(index.cell_ids)


@pytest.mark.real_data
def test_its_neighbours_are_training_cells_of_the_right_class(real_data: Path) -> None:
    bundle = open_bundle("default")
    index = read_index(bundle)
    assert index is not None
    cells = open_dataset("pbc", real_data / "cells" / "pbc")
    assert set(index.cell_ids) <= set(cells.filter(split="train")["cell_id"])
    asked = cells.filter(pl.col("code").is_in([cell.code for cell in FINE]), split="val").sample(60, seed=0)
    found, failures = embeddings(bundle, asked["path"].to_list())
    assert not failures
    near = [row[0].code for row in nearest(index, found, 1)]
    assert np.mean([one == code for one, code in zip(near, asked["code"], strict=True)]) >= 0.8
