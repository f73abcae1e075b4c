"""The page and the words of an explanation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.explain.neighbours import Neighbour
from leukopy.imaging.segmentation import Masks
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.reports.explanation import (
    ExplanationContent,
    lines_of,
    share_in_words,
    show_cell,
    show_map,
    show_neighbour,
    write_explanation,
)
from leukopy.reports.overlay import View, heated

ROW = {
    "cell_id": "<script>alert(1)</script>.png", "fine": "EO", "target": "EO", "probability": 0.97, "method": "cam",
    "flags": "uncertain;low_resolution", "why": "multi-lobed nucleus", "inside_cell": 0.6, "cell_area": 0.2,
    "inside_nucleus": 0.3, "nucleus_area": 0.1,
}  # fmt: skip


@pytest.fixture
def view() -> View:
    disc = np.hypot(*np.mgrid[-20:20, -20:20]) < 12
    return View(np.full((40, 40, 3), 200, np.uint8), Masks(np.zeros_like(disc), disc))


def write(folder: Path, view: View, colour_model, **changes: object) -> str:
    row = {**ROW, **changes}
    shown = show_cell(row, view, [show_map(row, view, np.ones((8, 8), np.float32))], [])
    content = ExplanationContent(
        title="<b>slide</b>", cells=[shown], cells_total=1, figures=[], notes=["A note."],
        failures=pl.DataFrame(schema=FAILURE_SCHEMA), card=open_bundle(colour_model.path).card,
        provenance={"commit": "abc", "machine": "m", "created": "2026-01-01"},
    )  # fmt: skip
    write_explanation(folder, content)
    return (folder / "report.html").read_text()


def test_names_of_files_run_nothing(view: View, colour_model, tmp_path: Path) -> None:
    page = write(tmp_path, view, colour_model)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>slide" not in page
    assert "uncertain, low resolution" in page
    assert "Seen: multi-lobed nucleus." in page


def test_another_class_that_is_explained_is_told(view: View, colour_model, tmp_path: Path) -> None:
    assert "classified as eosinophil" in write(tmp_path, view, colour_model, target="BA")
    assert "classified as" not in write(tmp_path, view, colour_model)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Of the heat, 30 % in the nucleus (10 % of the picture), 60 % in the cell (20 % of the picture)."),
        (
            {"nucleus_area": 0.0, "inside_nucleus": 0.0},
            "Of the heat, 60 % in the cell (20 % of the picture); no nucleus",
        ),
        ({"inside_cell": None}, "No place speaks for this class."),
        ({"cell_area": None}, "No cell was found in this picture"),
    ],
)
def test_shares_in_words(changes: dict[str, object], said: str) -> None:
    assert share_in_words({**ROW, **changes}).startswith(said)


def test_lines_below_an_overlay() -> None:
    first, seen, where, _ = lines_of(ROW)
    assert first == "eosinophil 97 %"
    assert seen == "Seen: multi-lobed nucleus."
    assert where.startswith("Class activation map: ")
    assert len(lines_of({**ROW, "why": None})) == 3


def test_cold_is_left_as_it_is_and_the_outline_is_white(view: View) -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[:, :2] = 1
    shown = heated(view, heat)
    inside = view.masks.cell
    outline = (shown == 255).all(axis=-1)
    assert outline[20, 8:10].any()
    assert not outline[~inside].any()
    assert (shown[:, 30:][~outline[:, 30:]] == 200).all()
    assert shown[0, 0].tolist() != [200, 200, 200]
    assert shown[0, 0, 1] > shown[0, 0, 2]  # yellow: green rather than blue


def test_a_neighbour_without_its_picture_is_named(tmp_path: Path) -> None:
    neighbour = Neighbour("pbc/c.png", "EO", 0.9)
    assert show_neighbour(neighbour, None).picture is None
    (tmp_path / "broken.png").write_text("")
    assert show_neighbour(neighbour, tmp_path / "broken.png").picture is None
    Image.new("RGB", (80, 80)).save(tmp_path / "c.png")
    assert show_neighbour(neighbour, tmp_path / "c.png").picture
