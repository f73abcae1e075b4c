"""Several whole slides in one run: a row and a folder for each; only failed ones are repeated."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import InputError, ManifestError
from leukopy.fields import choose
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field
from leukopy.fields.slide_inputs import list_slides
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, RED_CELL
from leukopy.workflows import choose_slide
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.slides_run import SlidesResult
from support.slides import levels_of, smear, write_slide, write_svs


class Finder:
    """Finds a leukocyte and red cells on every field."""

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        boxes = [(100, 100, 60, 60), *((200 + 40 * number, 100, 30, 30) for number in range(4))]
        kinds = [OBJECTS.index(LEUKOCYTE), *[OBJECTS.index(RED_CELL)] * 4]
        return Detections(np.array(boxes, np.float32), np.array(kinds), np.full(5, 0.9, np.float32), 30.0)


@pytest.fixture
def finder(monkeypatch) -> None:
    card = SimpleNamespace(name="known", model=SimpleNamespace(sha256="0" * 64), thresholds={})
    monkeypatch.setattr("leukopy.bundle.detector.open_detector", lambda name: SimpleNamespace(card=card))
    monkeypatch.setattr("leukopy.workflows.fields_run.open_finder", lambda *_: Finder())


@pytest.fixture
def chosen(monkeypatch) -> list[str]:
    """Names of the slides whose fields are chosen, in turn."""
    names: list[str] = []
    choose_fields = choose.choose_fields

    def spy(path, **options):
        names.append(path.name)
        return choose_fields(path, **options)

    monkeypatch.setattr(choose, "choose_fields", spy)
    return names


@pytest.fixture
def night(tmp_path) -> Path:
    """Two slides, one in a sub-folder, and one that is cut off."""
    folder = tmp_path / "night"
    (folder / "late").mkdir(parents=True)
    levels = levels_of(smear(1600, 2400))
    write_svs(folder / "a.svs", levels)
    write_slide(folder / "late" / "b.tif", levels_of(smear(3600, 4000, seed=2)))
    data = (folder / "a.svs").read_bytes()
    (folder / "c.svs").write_bytes(data[: len(data) // 2])
    (folder / "notes.txt").write_text("night shift")
    return folder


@pytest.fixture
def settings(night, finder, colour_model) -> AnalyzeSettings:
    return AnalyzeSettings(model=str(colour_model.path), input=night, leukocytes=3, fields_shown=1, processes=1)


def test_a_folder_of_slides_has_a_row_and_a_folder_for_each(settings, chosen, tmp_path):
    result = analyze(settings, tmp_path / "out")
    assert isinstance(result, SlidesResult)
    table = pl.read_csv(result.folder / "slides.csv")
    assert table["slide"].to_list() == ["a.svs", "c.svs", "late/b.tif"]
    assert table["status"].to_list()[1] == "failed"
    assert "cut off" in table["message"][1]
    assert table["pictures"].to_list() == [3, 0, 3]
    for row in table.filter(pl.col("status") != "failed").iter_rows(named=True):
        folder = result.folder / row["folder"]
        assert {"overview.png", "squares.csv", "report.html", "fields.parquet"} <= {
            one.name for one in folder.iterdir()
        }
        facts = json.loads((folder / "run.json").read_text())["inputs"]
        assert facts["squares"]["chosen"] == facts["count"] > 3
        assert "until 3 leukocytes are found" in (folder / "report.html").read_text()
    page = result.page.read_text()
    assert all(name in page for name in ("a.svs", "c.svs", "late/b.tif"))
    assert ".txt" in page  # the file that is not read
    assert (result.failed, result.complete) == (1, False)


def test_finished_slides_are_not_looked_at_again_and_a_mended_one_is_retried(settings, chosen, night, tmp_path):
    first = analyze(settings, tmp_path / "out")
    assert first.slides["status"].to_list().count("failed") == 1, first.slides["message"].to_list()
    chosen.clear()
    again = analyze(settings, tmp_path / "out", resume=True)
    assert chosen == []
    assert again.slides.equals(first.slides)
    (night / "c.svs").write_bytes((night / "a.svs").read_bytes())
    mended = analyze(settings, tmp_path / "out", retry_failed=True)
    assert chosen == ["c.svs"]
    assert mended.failed == 0
    assert mended.slides["slide"].to_list() == first.slides["slide"].to_list()


def test_an_interrupted_run_goes_on_with_the_other_slides(settings, chosen, tmp_path, monkeypatch):
    whole = analyze(settings, tmp_path / "whole")

    def stop(path, scale, progress):
        if path.name == "b.tif":
            raise KeyboardInterrupt
        return choose_on(path, scale, progress)

    choose_on = choose_slide.choose_on
    monkeypatch.setattr(choose_slide, "choose_on", stop)
    with pytest.raises(KeyboardInterrupt, match="2 of 3 slides are done"):
        analyze(settings, tmp_path / "out")
    monkeypatch.setattr(choose_slide, "choose_on", choose_on)
    chosen.clear()
    result = analyze(settings, tmp_path / "out", resume=True)
    assert chosen == ["b.tif"]
    assert result.slides.equals(whole.slides)


def test_slides_beside_photographs_are_refused_unless_asked_for(night, tmp_path):
    Image.fromarray(smear(500, 700)).save(night / "photo.jpg")
    with pytest.raises(InputError, match=r"holds whole slides and photographs.*a\.svs.*photo\.jpg"):
        list_slides(night, asked=False)
    found = list_slides(night, asked=True)
    assert [one.name for one in found.files] == ["a.svs", "c.svs", "late/b.tif"]
    assert found.others.not_read == {".txt": 1, ".jpg": 1}


def test_photographs_alone_are_no_slides(tmp_path):
    write_slide(tmp_path / "small.tif", levels_of(smear(500, 700)))
    Image.fromarray(smear(500, 700)).save(tmp_path / "photo.jpg")
    assert list_slides(tmp_path, asked=False) is None
    with pytest.raises(InputError, match="holds no whole slide"):
        list_slides(tmp_path, asked=True)


def test_a_manifest_names_slides_and_their_scales(night, tmp_path):
    table = tmp_path / "slides.csv"
    table.write_text("path,slide,um_per_px\nnight/a.svs,first,\nnight/late/b.tif,second,0.3\n")
    found = list_slides(table, asked=True, um_per_px=0.25)
    assert [(one.name, one.path.name, one.um_per_px) for one in found.files] == [
        ("first", "a.svs", 0.25), ("second", "b.tif", 0.3),
    ]  # fmt: skip
    assert list_slides(table, asked=False) is None
    table.write_text("path,slide\nnight/a.svs,first\nnight/late/b.tif,first\n")
    with pytest.raises(ManifestError, match="line 3: its slide is on line 2 too"):
        list_slides(table, asked=True)
