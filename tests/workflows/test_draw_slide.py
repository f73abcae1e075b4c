"""`leukopy draw slide`: a pyramidal TIFF, its truth, and memory that does not grow with it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.synthesis import BlockPainter, WholeSlide, slide_scenes
from leukopy.synthesis.appearance import PBC_LIKE
from leukopy.synthesis.blocks import BLOCK_PX
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide

pytestmark = pytest.mark.slow

SETTINGS = DrawSlideSettings(width=5 * 1024, height=4 * 1024, um_per_px=0.4, variants=1, seed=3)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "slide"
    draw_slide(SETTINGS, out)
    return out


@pytest.fixture(scope="module")
def pixels(drawn) -> np.ndarray:
    return tifffile.imread(drawn / "slide.tif")


def test_levels_and_resolution_are_read_back(drawn, pixels):
    with tifffile.TiffFile(drawn / "slide.tif") as file:
        shapes = [page.shape for page in file.pages]
        assert all(page.is_tiled for page in file.pages)
        for page in file.pages:
            per_cm = page.tags["XResolution"].value
            factor = shapes[0][1] / page.shape[1]
            assert 1e4 * per_cm[1] / per_cm[0] == pytest.approx(0.4 * factor)
    assert pixels.shape == shapes[0] == (4096, 5120, 3)
    assert len(shapes) > 1
    small = tifffile.imread(drawn / "slide.tif", key=1)
    means = pixels.reshape(*small.shape[:1], 4, small.shape[1], 4, 3).mean(axis=(1, 3))
    assert np.abs(means - small).max() <= 1


def test_openslide_reads_the_same_pixels(drawn, pixels):
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(drawn / "slide.tif") as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.4)
        assert slide.dimensions == (5120, 4096)
        region = np.asarray(slide.read_region((1500, 1200), 0, (700, 600)).convert("RGB"))
    assert np.array_equal(region, pixels[1200:1800, 1500:2200])


def test_objects_lie_where_the_table_says(drawn, pixels):
    table = pl.read_csv(drawn / "objects.csv")
    counts = json.loads((drawn / "run.json").read_text())["objects"]
    assert dict(table["kind"].value_counts().rows()) == {kind: count for kind, count in counts.items() if count}
    assert not table["cut"].any()
    assert table["visible"].is_between(0, 1.0001).all()
    green = pixels[..., 1].astype(int)
    glass = int(np.median(green[:1024]))
    dark = np.zeros(green.shape, dtype=bool)
    for row in table.iter_rows(named=True):
        rows, columns = slice(row["top"], row["top"] + row["height"]), slice(row["left"], row["left"] + row["width"])
        dark[max(row["top"] - 2, 0) : rows.stop + 2, max(row["left"] - 2, 0) : columns.stop + 2] = True
        assert np.percentile(green[rows, columns], 25) < glass - 15, row
    assert (green[~dark] > glass - 25).all(), "nothing stained lies outside a box"


def test_zones_differ_and_are_listed(drawn):
    zones, table = pl.read_csv(drawn / "zones.csv"), pl.read_csv(drawn / "objects.csv")
    red_cells = table.filter(pl.col("kind") == "red_cell")
    found = {}
    for zone in zones.iter_rows(named=True):
        inside = red_cells.filter(pl.col("left").is_between(zone["left"], zone["left"] + zone["width"] - 1))
        found[zone["zone"]] = inside.height / zone["width"]
    assert found["empty"] == 0
    assert found["thick"] > 1.4 * found["monolayer"] > 2 * found["thin"] > 0


def test_seams_are_seen_alike_from_both_sides():
    look = PBC_LIKE.model_copy(update={"um_per_px": 0.5, "gradient": 0.0, "noise": 0.0})
    slide = WholeSlide(BlockPainter(slide_scenes(), look, {"SNE": 1.0}, 4.0, 1), rows=4, columns=10, variants=1)
    column = next(area.left for area in slide.zones() if area.zone == "monolayer") // BLOCK_PX
    left, right = slide.block(1, column), slide.block(1, column + 1)
    seam = right.seams["west"]
    assert len(seam) > 20
    for here, there in zip(seam, left.seams["east"], strict=True):
        assert (here.left, here.top, here.width, here.height) == (
            there.left - BLOCK_PX, there.top, there.width, there.height,
        )  # fmt: skip
    assert any(each.left < 0 < each.left + each.width for each in seam)
    listed = [each for each in slide.truth(1, column + 1) if each.left < (column + 1) * BLOCK_PX]
    assert len(listed) == sum(each.left < 0 for each in seam), "the cell of two blocks is listed once"
    step = np.abs(left.image[:, -1].astype(int) - right.image[:, 0])
    inside = np.abs(left.image[:, -2].astype(int) - left.image[:, -1])
    assert step.mean() < 1.5 * inside.mean(), "no edge where the blocks meet"


def test_blocks_and_memory_do_not_grow_with_the_slide(tmp_path, monkeypatch):
    """A slide of 0.2 gigapixels takes as many blocks and as much memory as one of 0.1; its table is written by rows."""
    sparse = {zone: scene.model_copy(update={"coverage": 0.004}) for zone, scene in slide_scenes().items()}
    monkeypatch.setattr("leukopy.synthesis.slide_scenes", lambda: sparse)
    peaks, blocks = [], []
    for rows in (5, 10):
        settings = DrawSlideSettings(width=20 * BLOCK_PX, height=rows * BLOCK_PX, variants=1, leukocytes=0)
        tracemalloc.start()
        blocks.append(draw_slide(settings, tmp_path / str(rows)).blocks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert blocks[0] == blocks[1] < 40
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 500e6


def test_command_line_says_what_it_drew(tmp_path):
    command = f"draw slide --out {tmp_path} --width 5000 --height 3000 --um-per-px 0.5 --variants 1 --leukocytes 0"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    assert "5120 x 3072" in result.output
