"""A slide is surveyed once, reads each file once, and knows copies and pictures without a cell."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image

import leukopy
from leukopy.imaging import decode
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.record import tally
from leukopy.synthesis import draw_cell


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read."""
    counts: Counter[str] = Counter()
    read = decode.read_file

    def counting(path: Path) -> bytes:
        counts[path.name] += 1
        return read(path)

    monkeypatch.setattr(decode, "read_file", counting)
    return counts


def draw(folder: Path, count: int, *, suffix: str = ".jpg") -> list[CellInput]:
    codes = ("SNE", "LY", "MO", "EO")
    cells = []
    for index in range(count):
        path = folder / f"c{index:03}{suffix}"
        Image.fromarray(draw_cell(codes[index % 4], seed=index, size=240).image).save(path)
        cells.append(CellInput(path.name, str(path)))
    return cells


def test_each_file_is_read_once(tmp_path: Path, reads: Counter[str]) -> None:
    cells = draw(tmp_path, ENOUGH_CELLS + 10)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    cells.append(CellInput("broken.jpg", str(tmp_path / "broken.jpg")))
    slide = leukopy.load().slide(cells)
    rows = list(slide.rows())
    assert sum(map(len, rows)) == len(cells)
    assert set(reads.values()) == {1}
    assert len(reads) == len(cells)


def test_the_network_runs_once_for_each_cell_at_the_usual_magnification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = draw(tmp_path, 150)
    classifier = leukopy.load()
    slide = classifier.slide(cells)
    expected = [one.cells for one in classifier.slide(cells).rows()]
    run: list[int] = []
    compute = classifier.engine.compute

    def counting(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        run.append(len(pixels))
        return compute(pixels)

    monkeypatch.setattr(classifier.engine, "compute", counting)
    assert slide.survey.crop == classifier.card.preprocess.crop
    surveyed = sum(run)
    assert 128 <= surveyed < 150
    rows = pl.concat([part.cells for part in slide.rows()])
    assert sum(run) == len(cells)
    assert rows.equals(pl.concat(expected))
    assert rows["cell_id"].to_list() == [cell.cell_id for cell in cells]


def test_rows_do_not_depend_on_which_pictures_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = draw(tmp_path, ENOUGH_CELLS + 4)
    kept = pl.concat([part.cells for part in leukopy.load().slide(cells).rows()])
    monkeypatch.setattr("leukopy.inference.pictures.BUDGET", 0)
    without = leukopy.load().slide(cells, Pictures(0))
    assert pl.concat([part.cells for part in without.rows()]).equals(kept)


def test_pictures_without_a_cell_do_not_bias_the_survey(tmp_path: Path) -> None:
    cells = draw(tmp_path, ENOUGH_CELLS + 10)
    alone = leukopy.load().slide(cells).survey
    mixed = []
    for index, cell in enumerate(cells):
        path = tmp_path / f"dark{index}.png"
        Image.fromarray(np.full((240, 240, 3), 5 + index % 3, np.uint8)).save(path)
        mixed += [cell, CellInput(path.name, str(path))]
    slide = leukopy.load().slide(mixed)
    assert slide.survey.shift == alone.shift
    assert slide.survey.crop == alone.crop
    rows = pl.concat([part.cells for part in slide.rows()])
    dark = rows.filter(pl.col("cell_id").str.starts_with("dark"))
    assert dark["fine"].null_count() == dark["p_LY"].null_count() == len(dark)
    assert dark["flags"].str.contains("no_cell").all()
    assert rows.filter(~pl.col("cell_id").str.starts_with("dark"))["fine"].null_count() == 0


def test_a_copy_is_a_row_that_no_count_holds(tmp_path: Path) -> None:
    cells = draw(tmp_path, 3)
    (tmp_path / "c001 (1).jpg").write_bytes(Path(cells[1].path).read_bytes())
    cells.append(CellInput("c001 (1).jpg", str(tmp_path / "c001 (1).jpg")))
    rows = pl.concat([part.cells for part in leukopy.load().slide(cells).rows()])
    assert rows["flags"].str.contains("duplicate").to_list() == [False, False, False, True]
    assert rows["fine"][3] == rows["fine"][1]


def test_a_resumed_slide_knows_the_copies_of_earlier_rows(tmp_path: Path) -> None:
    cells = draw(tmp_path, 4)
    first = next(leukopy.load().slide(cells).rows(cells[:2])).cells
    (tmp_path / "again.jpg").write_bytes(Path(cells[0].path).read_bytes())
    rest = [CellInput("again.jpg", str(tmp_path / "again.jpg")), *cells[2:]]
    rows = next(leukopy.load().slide([*cells[:2], *rest]).rows(rest, counted=first["digest"])).cells
    assert rows["flags"].str.contains("duplicate").to_list() == [True, False, False]


def test_a_cell_may_be_a_box_of_a_picture(tmp_path: Path) -> None:
    """A box gives the row of the crop that it stands for."""
    single = draw(tmp_path, 1, suffix=".png")[0]
    cell = Image.open(single.path)
    field = Image.new("RGB", (600, 400), (235, 230, 235))
    field.paste(cell, (100, 50))
    field.save(tmp_path / "field.png")
    boxed = CellInput("boxed", str(tmp_path / "field.png"), box=(100, 50, 240, 240))
    whole, part = (next(leukopy.load().slide([one]).rows()).cells for one in (single, boxed))
    compared = ["fine", "confidence", "width", "height", "ood_score"]
    assert part.select(compared).equals(whole.select(compared))
    outside = CellInput("outside", str(tmp_path / "field.png"), box=(500, 50, 240, 240))
    (failed,) = next(leukopy.load().slide([outside]).rows()).failures["message"]
    assert "holds no such box (500, 50, 240 x 240 px in 600 x 400)" in failed


def test_the_record_and_the_count_tell_a_copy_without_a_cell_alike(tmp_path: Path) -> None:
    """Content comes before copies, as in `inference.rows.LEFT_OUT`."""
    cells = draw(tmp_path, 2)
    for name in ("dark.png", "dark (1).png"):
        Image.fromarray(np.full((240, 240, 3), 5, np.uint8)).save(tmp_path / name)
        cells.append(CellInput(name, str(tmp_path / name)))
    rows = pl.concat([part.cells for part in leukopy.load().slide(cells).rows()])
    found = tally(rows.lazy())
    assert (found["read"], found["no_cell"], found["duplicates"]) == (4, 2, 0)
    assert found["trusted"] + found["unidentified"] == 2
