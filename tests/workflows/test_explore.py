"""An exploration accounts for every image, says what it left out, and goes on where it was interrupted."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, MissingExtraError, OutputError, SettingsError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.datasets import open_dataset, write_manifest
from leukopy.imaging.measures import FEATURES
from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.synthesis import draw_cell
from leukopy.workflows import explore as module
from leukopy.workflows.explore import ExploreSettings, explore


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(build_bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bundle(tmp_path_factory.mktemp("model") / "colours")


def draw(folder: Path, counts: dict[str, int]) -> Path:
    for code, count in counts.items():
        (folder / code).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(draw_cell(code, seed=number, size=96).image).save(folder / code / f"{number:02}.png")
    return folder


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Three classes of drawn cells; two files that are no image."""
    folder = draw(tmp_path / "lab", {"LY": 10, "EO": 4, "SNE": 4})
    (folder / "LY" / "letter.png").write_text("not a picture")
    (folder / "EO" / "nothing.png").touch()
    return folder


def settings(model: Path, *inputs: Path | str, **values: object) -> ExploreSettings:
    return ExploreSettings.build({"inputs": [str(each) for each in inputs], "model": str(model), **values})


def test_every_image_is_in_exactly_one_table(cells: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = explore(settings(model, cells), out)
    assert (result.cells, result.failures) == (18, 2)
    features = pl.read_parquet(out / "features.parquet")
    assert features.columns[:9] == [
        "cell_id", "source", "class", "code", "group", "split", "width", "height", "digest",
    ]  # fmt: skip
    assert features.columns[9:] == [feature.name for feature in FEATURES]
    assert pl.read_csv(out / "features.csv")["cell_id"].to_list() == features["cell_id"].to_list()
    failures = pl.read_csv(out / "failures.csv")
    assert failures.columns == list(FAILURE_SCHEMA)
    assert dict(failures.select("cell_id", "reason").rows()) == {
        "lab/EO/nothing.png": "empty_file",
        "lab/LY/letter.png": "not_an_image",
    }
    assert not set(features["cell_id"]) & set(failures["cell_id"])
    assert json.loads((out / "run.json").read_text())["status"] == "finished"


def test_the_tables_agree_with_each_other(cells: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    explore(settings(model, cells), out)
    features = pl.read_parquet(out / "features.parquet")
    assert pl.read_csv(out / "classes.csv").rows() == [
        ("lab", "SNE", 4, "segmented neutrophil"), ("lab", "EO", 4, "eosinophil"), ("lab", "LY", 10, "lymphocyte"),
    ]  # fmt: skip
    assert pl.read_csv(out / "sizes.csv").rows() == [("lab", 96, 96, 18)]
    light = pl.read_csv(out / "luminance.csv").filter(pl.col("class") == "LY", pl.col("feature") == "luminance")
    assert light["median"][0] == pytest.approx(features.filter(pl.col("class") == "LY")["luminance"].median(), rel=1e-4)
    assert set(pl.read_csv(out / "stains.csv")["feature"]) == {"stain_nuclear", "stain_eosin", "stain_residual"}
    assert "nucleus_to_cytoplasm" in pl.read_csv(out / "morphology.csv")["feature"].to_list()
    assert pl.read_csv(out / "profiles.csv").group_by("class").len()["len"].to_list() == [32, 32, 32]
    planes = pl.read_parquet(out / "projections.parquet")
    assert sorted(planes["cell_id"]) == sorted(features["cell_id"])
    assert {"pixels_pca_x", "pixels_lda_y", "embeddings_pca_x"} <= set(planes.columns)
    assert pl.read_csv(out / "scores.csv")["space"].unique().sort().to_list() == ["embeddings", "pixels"]
    page = (out / "report.html").read_text()
    assert RESEARCH_USE_ONLY in page
    assert "It was trained on drawn colours" in page
    assert len(page) < 15_000_000


def test_the_coarse_level_joins_classes_and_keeps_labels(cells: Path, model: Path, tmp_path: Path) -> None:
    explore(settings(model, cells, level="coarse"), tmp_path / "out")
    features = pl.read_parquet(tmp_path / "out" / "features.parquet")
    assert set(features.filter(pl.col("code") == "SNE")["class"]) == {"NEU"}


def test_an_outlier_is_named_and_shown(cells: Path, model: Path, tmp_path: Path) -> None:
    Image.fromarray(draw_cell("LY", seed=1, size=96).image // 4).save(cells / "LY" / "dark.png")
    explore(settings(model, cells), tmp_path / "out")
    found = pl.read_csv(tmp_path / "out" / "outliers.csv")
    assert found.row(0, named=True)["cell_id"] == "lab/LY/dark.png"
    assert found.row(0, named=True)["side"] == "low"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "lab/LY/dark.png" in page[page.index("Pictures that stand out") : page.index("Mean red, green and blue")]


def test_the_projections_are_thinned_to_the_points_asked_for(model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(130):
        folder = tmp_path / "lab" / ("LY" if number < 120 else "EO")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((32, 32)).save(folder / f"{number:03}.png")
    found = ExploreSettings.build({"inputs": [str(tmp_path / "lab")], "model": str(model), "points": 100})
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("leukopy.inference.workers._FEW", 1000)  # one process: the others are tested where they are
        patch.setattr("leukopy.explore.projections._FEWEST", 1000)  # t-SNE and UMAP too
        result = explore(found, tmp_path / "out")
    planes = pl.read_parquet(tmp_path / "out" / "projections.parquet")
    assert dict(planes.group_by("class").len().rows()) == {"LY": 90, "EO": 10}
    assert any("100 of 130 cells" in note for note in result.notes)


def test_the_same_settings_give_the_same_page(cells: Path, model: Path, tmp_path: Path) -> None:
    explore(settings(model, cells, seed=3), tmp_path / "one")
    again = ExploreSettings.read(tmp_path / "one" / "run.json")
    explore(again, tmp_path / "two")
    for name in ("features.csv", "outliers.csv", "scores.csv", "profiles.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_interrupted_the_same_command_goes_on(
    cells: Path, model: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leukopy.inference.workers._BATCH", 5)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "measuring" and done == 10:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="finished measures are cached; the same command resumes"):
        explore(settings(model, cells), out, progress=stop)
    with sqlite3.connect(next(cache.glob("explore/cells-*.sqlite"))) as kept:
        assert kept.execute("SELECT count(*) FROM kept").fetchone()[0] >= 9
    kept.close()
    assert explore(settings(model, cells, seed=4), out).cells == 18
    assert json.loads((out / "run.json").read_text())["settings"]["seed"] == 4
    with pytest.raises(OutputError, match="already holds results"):
        explore(settings(model, cells), out)
    assert explore(settings(model, cells), out, overwrite=True).cells == 18


def test_a_folder_of_something_else_is_left_alone(cells: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no leukopy results"):
        explore(settings(model, cells), cells, overwrite=True)
    assert (cells / "LY" / "00.png").exists()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"LY": 9}, "All labelled cells are of one class (LY)"),
        ({"LY": 1, "MO": 1}, "there are fewer than three cells"),
        ({"LY": 9, "MO": 2}, "LDA of pixels: it needs three classes"),
    ],
)
def test_too_little_gives_a_reduced_page_that_says_so(
    counts: dict[str, int], said: str, model: Path, tmp_path: Path
) -> None:
    result = explore(settings(model, draw(tmp_path / "lab", counts)), tmp_path / "out")
    assert result.cells == sum(counts.values())
    assert any(said in note for note in result.notes), result.notes
    assert said in (tmp_path / "out" / "report.html").read_text()


def test_pictures_that_are_all_the_same(model: Path, tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "lab" / ("LY", "MO", "EO")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (200, 180, 190)).save(path)
    result = explore(settings(model, tmp_path / "lab"), tmp_path / "out")
    assert any("Projections of pixels: all pictures are the same" in note for note in result.notes)
    assert any("In 12 cells no cell was found" in note for note in result.notes)
    assert pl.read_csv(tmp_path / "out" / "outliers.csv").is_empty()


def test_a_source_without_labels_stands_beside_one_with(cells: Path, model: Path, tmp_path: Path) -> None:
    draw(tmp_path / "unsorted", {"LY": 3})
    (tmp_path / "unsorted" / "LY").rename(tmp_path / "unsorted" / "monday")
    result = explore(settings(model, cells, tmp_path / "unsorted"), tmp_path / "out")
    assert any("3 of 21 cells carry no label" in note for note in result.notes)
    assert any("Sources without any label: unsorted" in note for note in result.notes)
    assert ("unsorted", "no label", 3, "no label") in result.counts.rows()


def test_nothing_but_unreadable_files_is_an_error_that_says_where_the_reasons_are(model: Path, tmp_path: Path) -> None:
    (tmp_path / "lab" / "LY").mkdir(parents=True)
    (tmp_path / "lab" / "LY" / "letter.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"none of the 1 images can be read; see .*failures.csv"):
        explore(settings(model, tmp_path / "lab"), tmp_path / "out")
    assert pl.read_csv(tmp_path / "out" / "failures.csv")["reason"].to_list() == ["not_an_image"]


def test_without_its_extra_it_says_how_to_get_it(
    cells: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "umap" else there(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'leukopy\[study\]'"):
        explore(settings(model, cells), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_name_what_is_wrong() -> None:
    with pytest.raises(SettingsError, match="level"):
        ExploreSettings.build({"inputs": ["x"], "level": "middle"})
    with pytest.raises(SettingsError, match="inputs"):
        ExploreSettings.build({"inputs": []})


def test_the_command_prints_the_classes_and_ends_with_3_where_images_failed(
    cells: Path, model: Path, tmp_path: Path
) -> None:
    command = ["study", "explore", str(cells), "--model", str(model), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3, result.output
    assert "lymphocyte" in result.stdout
    assert "2 of 20 images failed" in result.stderr
    again = ["study", "explore", "--config", str(tmp_path / "out" / "run.json"), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(app, again).exit_code == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 1, "nowhere: there is no such manifest or folder"),
        (["pcb=x"], 1, "'pcb' is no data set"),
        ([], 2, "give MANIFEST, or --config"),
        (["x", "--level", "middle"], 2, "--level"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["study", "explore", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


@pytest.mark.real_data
def test_raabin_is_darker_than_cellavision(real_data: Path, model: Path, tmp_path: Path) -> None:
    """What every picture of the two shows: the phone camera's pictures are far darker than the analyser's."""
    folder = real_data / "cells"
    for name in ("raabin", "cellavision"):
        write_manifest(tmp_path / f"{name}.csv", open_dataset(name, folder / name).sample(20, seed=0, shuffle=True))
    explore(settings(model, *sorted(tmp_path.glob("*.csv")), level="coarse"), tmp_path / "out")
    light = pl.read_parquet(tmp_path / "out" / "features.parquet").group_by("source").agg(pl.col("luminance").median())
    found = dict(light.rows())
    assert found["raabin"] < found["cellavision"] - 5
