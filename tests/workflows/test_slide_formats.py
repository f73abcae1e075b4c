"""Formats of slides that can be written here, by the commands: checked, and analysed with the same red cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, RED_CELL
from support.slides import levels_of, smear, write_dicom, write_ome, write_slide, write_svs

UM_PER_PX = 0.25
TISSUE = smear(3600, 3700)
LEVELS = levels_of(TISSUE, (1, 4, 16))


def _big(path: Path) -> Path:
    import tifffile

    write_slide(path, LEVELS, UM_PER_PX)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, pixels in enumerate(LEVELS):
            scale = 1e4 / UM_PER_PX / 4**number
            writer.write(
                pixels, tile=(256, 256), photometric="rgb", compression="zlib", subfiletype=int(number > 0),
                resolution=(scale, scale), resolutionunit="CENTIMETER", metadata=None,
            )  # fmt: skip
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "svs": lambda folder: write_svs(folder / "s.svs", LEVELS, UM_PER_PX),
    "ome": lambda folder: write_ome(folder / "s.ome.tif", LEVELS, UM_PER_PX),
    "tiled": lambda folder: write_slide(folder / "s.tif", LEVELS, UM_PER_PX),
    "bigtiff": lambda folder: _big(folder / "s.tif"),
    "jpeg": lambda folder: write_slide(folder / "s.tif", LEVELS, UM_PER_PX, compression="jpeg"),
    "dicom": lambda folder: write_dicom(folder / "series", LEVELS, UM_PER_PX),
}
NEEDS_OPENSLIDE = {"svs", "dicom"}


class Discs:
    """Finds the discs of `smear`; each is a red cell, the first from the upper left a leukocyte."""

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        marks, _ = ndimage.label(field.pixels[..., 1] < 190)
        boxes = np.array(
            [(part[1].start, part[0].start, part[1].stop - part[1].start, part[0].stop - part[0].start)
             for part in ndimage.find_objects(marks) if part[0].stop - part[0].start > 25], np.float32,
        ).reshape(-1, 4)  # fmt: skip
        kinds = np.full(len(boxes), OBJECTS.index(RED_CELL))
        kinds[:1] = OBJECTS.index(LEUKOCYTE)
        return Detections(boxes, kinds, np.full(len(boxes), 0.9, np.float32), 30.0)


@pytest.fixture
def discs(monkeypatch) -> None:
    card = SimpleNamespace(name="discs", model=SimpleNamespace(sha256="0" * 64), thresholds={})
    monkeypatch.setattr("leukopy.bundle.detector.open_detector", lambda name: SimpleNamespace(card=card))
    monkeypatch.setattr("leukopy.workflows.fields_run.open_finder", lambda *_: Discs())


@pytest.mark.parametrize("name", WRITERS)
def test_the_check_finds_nothing_wrong(tmp_path, name):
    if name in NEEDS_OPENSLIDE:
        pytest.importorskip("openslide")
    found = CliRunner().invoke(app, ["slides", "check", str(WRITERS[name](tmp_path))])
    assert found.exit_code == 0, found.output
    words = " ".join(found.output.split())
    assert "0.25" in words
    assert {"svs": "aperio", "dicom": "dicom"}.get(name, "TIFF") in words
    assert "3,700" in words or "3700" in words


@pytest.mark.parametrize("name", WRITERS)
def test_a_slide_of_any_format_has_the_same_red_cells(tmp_path, name, discs, colour_model):
    if name in NEEDS_OPENSLIDE:
        pytest.importorskip("openslide")
    out = tmp_path / "out"
    command = ["analyze", str(WRITERS[name](tmp_path)), "--leukocytes", "100000", "--fields-shown", "1"]
    found = CliRunner().invoke(app, [*command, "--model", str(colour_model.path), "--out", str(out)])
    assert found.exit_code in (0, 3), found.output
    run = json.loads((out / "run.json").read_text())
    assert (run["inputs"]["kind"], run["inputs"]["told_from"]) == ("slide", "pictures")
    assert (run["inputs"]["um_per_px"], run["inputs"]["scale_source"]) == (pytest.approx(UM_PER_PX, rel=1e-3), "file")
    fields = pl.read_parquet(out / "fields.parquet")
    assert len(fields) == run["inputs"]["squares"]["chosen"] == 16
    objects = pl.read_parquet(out / "objects.parquet").filter("counted")
    count = ndimage.label(TISSUE[..., 1] < 190)[1]
    assert len(objects) == pytest.approx(count, abs=0.03 * count)


def test_without_openslide_a_scanners_slide_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    write_svs(tmp_path / "s.svs", LEVELS)
    found = CliRunner().invoke(app, ["analyze", str(tmp_path / "s.svs"), "--out", str(tmp_path / "out")])
    assert found.exit_code == 1
    assert "pip install 'leukopy[slides]'" in " ".join(found.output.split())
