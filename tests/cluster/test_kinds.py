"""Fields and whole slides in a plan: the rows of `analyze`."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import leukopy.fields.detector  # noqa: F401  (before `known_finder` replaces what it imports)
from leukopy.cluster.merge import merge
from leukopy.cluster.planning import make_plan
from leukopy.cluster.settings import PlanSettings
from leukopy.synthesis import Scene, draw_field
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide
from leukopy.workflows.slides_run import SlidesResult
from support.found import save_field

from .conftest import run

TABLES = ("cells", "fields", "objects")


def both(given: Path, tmp_path: Path, **settings) -> tuple[SlidesResult, pl.DataFrame]:
    """A run of `analyze`, and the table of slides of a plan whose rows are compared with it."""
    alone = analyze(AnalyzeSettings(input=given, processes=1, threads=1, **settings), tmp_path / "alone")
    settings.pop("slides", None)
    make_plan(PlanSettings(input=str(given), shard_images=25, **settings), str(tmp_path / "out"))
    run(tmp_path / "out")
    merged = merge(str(tmp_path / "out"), tmp_path / "merged")
    for slide, folder in alone.slides.select("slide", "folder").iter_rows():
        for table in TABLES:
            expected = pl.read_parquet(tmp_path / "alone" / folder / f"{table}.parquet")
            found = pl.read_parquet(tmp_path / "merged" / table / f"{Path(folder).name}.parquet")
            assert set(found["slide"]) == {slide}
            assert found.drop("slide").equals(expected.drop("slide"))
    return alone, merged.slides


def test_fields_give_the_rows_of_analyze(tmp_path, colour_model, known_finder):
    for number in range(4):
        drawn = draw_field({"SNE": 4, "LY": 2}, seed=number, size=(480, 640), scene=Scene(platelets=0.08, cut=False))
        save_field(tmp_path / "night" / "ab"[number % 2] / f"f{number}.png", drawn, known_finder)
    (tmp_path / "night" / "a" / "f9.png").write_text("no picture")
    alone, slides = both(tmp_path / "night", tmp_path, slides=True, model=str(colour_model.path))
    assert slides.drop("folder").equals(alone.slides.drop("folder"))
    assert slides["failures"].to_list() == [1, 0]


@pytest.mark.slow
def test_whole_slides_give_the_rows_of_analyze(tmp_path, colour_model):
    for number in range(2):
        settings = DrawSlideSettings(width=6144, height=3072, um_per_px=0.4, variants=1, leukocytes=8, seed=number)
        draw_slide(settings, tmp_path / f"drawn{number}")
        path = next((tmp_path / f"drawn{number}").glob("*.tif*"))
        (tmp_path / "scans").mkdir(exist_ok=True)
        path.rename(tmp_path / "scans" / f"s{number}.tif")
    alone, slides = both(
        tmp_path / "scans", tmp_path, input_kind="slide", leukocytes=5, model=str(colour_model.path)
    )  # fmt: skip
    differing = [name for name in slides.columns if not slides[name].equals(alone.slides[name], null_equal=True)]
    assert differing == ["folder"]
    assert slides["pictures"].min() >= 1
