"""What a training reads: sources, their shares, the cache of decoded cells."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import OutputError, SettingsError, TrainingError
from leukopy.core.progress import silent
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.synthesis import draw_cell
from leukopy.training.cache import decode_all
from leukopy.training.data import CellData
from leukopy.training.settings import Source
from leukopy.training.sources import check_classes, list_training_cells, sampling_weights
from leukopy.workflows.train import train
from support.drawn import draw_classes
from support.training_run import recipe

pytestmark = pytest.mark.usefixtures("places")


def test_gather_splits_by_group_and_adds_drawn_cells(laboratory: Path) -> None:
    sources = [
        {"dataset": "folders", "root": "lab", "share": 0.9, "validation_share": 0.3},
        {"dataset": "drawn", "share": 0.1, "images": 22},
    ]
    cells = list_training_cells(recipe(sources=sources), laboratory)
    assert cells["source"].value_counts().sort("source").rows() == [("drawn", 22), ("folders", 40)]
    assert cells.filter(pl.col("source") == "drawn")["split"].unique().to_list() == ["train"]
    share = (cells.filter(pl.col("source") == "folders")["split"] == "val").mean()
    assert 0.1 < share < 0.5
    assert cells.equals(list_training_cells(recipe(sources=sources), laboratory))


def test_test_images_never_reach_training(tmp_path: Path, laboratory: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    paths = sorted((laboratory / "lab").rglob("*.png"))
    table = pl.DataFrame(
        {
            "path": [str(path) for path in paths],
            "label": [path.parent.name for path in paths],
            "split": ["train", "val", "test", "train"] * 10,
        }
    )
    table.write_csv(manifest)
    cells = list_training_cells(recipe(sources=[{"dataset": "manifest", "root": str(manifest), "share": 1}]), tmp_path)
    assert sorted(cells["split"].unique()) == ["train", "val"]
    assert len(cells) == 30


def test_no_validation_image_is_an_error(laboratory: Path) -> None:
    with pytest.raises(TrainingError, match="no validation image"):
        list_training_cells(
            recipe(sources=[{"dataset": "folders", "root": "lab", "share": 1, "validation_share": 0}]), laboratory
        )


def test_images_of_one_class_are_refused_before_anything_is_decoded(laboratory: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"training images are LY: .* Add images of other classes"):
        list_training_cells(recipe(without=["NEU", "EO", "PLT"]), laboratory)
    for labels in (["NEU", "NEU"], ["NEU", "SNE"]):  # "segmented" is right for each
        with pytest.raises(TrainingError, match=f"all 2 training images are {' or '.join(sorted(set(labels)))}:"):
            check_classes(pl.Series(labels))
    check_classes(pl.Series(["NEU", "IG"]))


def test_a_training_that_is_left_with_one_class_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_classes(tmp_path / "lab", {"LY": 6, "EO": 6}, size=80)
    for picture in (tmp_path / "lab" / "EO").iterdir():
        picture.write_text("no picture")
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    with pytest.raises(TrainingError, match="training images are LY:"):
        train(recipe(), tmp_path / "run")
    assert "not an image" in (tmp_path / "run" / "failures.csv").read_text()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_plain_pictures_are_told_before_the_training_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    draw_classes(tmp_path / "lab", {"LY": 6, "EO": 6}, size=80)
    for picture in (tmp_path / "lab" / "EO").iterdir():
        Image.new("RGB", (80, 80), (200, 150, 180)).save(picture, "JPEG")
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    plain = CellData(recipe(), tmp_path, tmp_path / "cache", silent).train_set.plain()
    assert {name.split("/")[-2] for name in plain} == {"EO"}

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leukopy.training.fit.fit", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path / "run")
    (said,) = (line for line in caplog.messages if "plain colour" in line)
    assert said.startswith(
        f"{len(plain)} of the training pictures looked at, {plain[0]} for one, are of one plain colour"
    )


def test_classes_that_a_recipe_does_without_are_never_seen(laboratory: Path) -> None:
    cells = list_training_cells(recipe(without=["IG", "SNE", "EO"]), laboratory)
    assert sorted(cells["code"].unique()) == ["LY", "PLT"]  # NEU may stand for a segmented one
    with pytest.raises(SettingsError, match="class code 'XX' is unknown"):
        recipe(without=["XX"])


def test_classes_that_a_source_does_without_are_seen_in_the_others(laboratory: Path) -> None:
    every = list_training_cells(recipe(), laboratory)
    sources = [source.model_dump(mode="json") for source in recipe().sources]
    cells = list_training_cells(recipe(sources=[sources[0] | {"without": ["NEU"]}, *sources[1:]]), laboratory)
    own = pl.col("source") == sources[0]["dataset"]
    assert {"NEU", "SNE", "BNE"} & set(every.filter(own)["code"])
    assert not {"NEU", "SNE", "BNE"} & set(cells.filter(own)["code"])
    assert cells.equals(every.filter(~own | ~pl.col("code").is_in(["NEU", "SNE", "BNE"])))
    with pytest.raises(SettingsError, match="class code 'XX' is unknown"):
        recipe(sources=[sources[0] | {"without": ["XX"]}])


def test_coarse_level_brings_every_label_to_eight_classes(laboratory: Path) -> None:
    (laboratory / "lab" / "SNE").mkdir(exist_ok=True)
    Image.fromarray(draw_cell("SNE", seed=99, size=80).image).save(laboratory / "lab" / "SNE" / "99.png")
    try:
        fine, coarse = (
            list_training_cells(recipe(level=level), laboratory)["code"].unique() for level in ("fine", "coarse")
        )
    finally:
        (laboratory / "lab" / "SNE" / "99.png").unlink()
    assert sorted(fine) == ["EO", "LY", "NEU", "PLT", "SNE"]
    assert sorted(coarse) == ["EO", "LY", "NEU", "PLT"]


def test_sampling_gives_sources_their_shares_and_classes_their_balance() -> None:
    cells = pl.DataFrame({"source": ["a"] * 5 + ["b"] * 2, "code": ["LY"] * 4 + ["EO"] + ["LY"] * 2})
    settings = recipe(
        sources=[Source(dataset="a", share=0.8), Source(dataset="b", share=0.2)], optimisation={"class_balance": 1.0}
    )
    weights = sampling_weights(cells, settings)
    assert weights[:5].sum() == pytest.approx(0.8)
    assert weights[:4].sum() == pytest.approx(weights[4])
    assert weights[5:].sum() == pytest.approx(0.2)


def test_cache_holds_what_serving_sees_and_lists_what_it_cannot_read(tmp_path: Path, laboratory: Path) -> None:
    good = laboratory / "lab" / "LY" / "0.png"
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    cells = pl.DataFrame({"path": [str(bad), str(good)]})
    spec = Preprocess(size=48, crop=0.8)
    first = decode_all(cells, spec, tmp_path / "kept", silent)
    again = decode_all(cells, spec, tmp_path / "kept", silent)
    assert np.array_equal(first.picture(1), read_cell(good, spec).pixels)
    assert np.array_equal(first.picture(1), again.picture(1))
    assert list(again.failures) == [0]
    assert "bad.png" in again.failures[0]


@pytest.mark.parametrize(
    "look",
    [
        {"white_balance": True},
        {"stain": {"mean": (70.0, 20.0, -10.0), "deviation": (12.0, 8.0, 6.0)}},
        {"crop": 0.6},
    ],
)
def test_pictures_of_another_look_are_not_taken_from_the_cache(
    tmp_path: Path, laboratory: Path, look: dict[str, object]
) -> None:
    path = laboratory / "lab" / "EO" / "0.png"
    cells = pl.DataFrame({"path": [str(path)]})
    spec = Preprocess.model_validate({"size": 48, **look})
    plain = decode_all(cells, Preprocess(size=48), tmp_path, silent)
    other = decode_all(cells, spec, tmp_path, silent)
    assert np.array_equal(other.picture(0), read_cell(path, spec).pixels)
    assert not np.array_equal(other.picture(0), plain.picture(0))


def test_cells_with_a_crop_of_their_own_are_cropped_so(tmp_path: Path, laboratory: Path) -> None:
    path, spec = laboratory / "lab" / "EO" / "0.png", Preprocess(size=48, crop=0.8)
    drawn = "drawn:EO:3"
    cells = pl.DataFrame({"path": [str(path), str(path), drawn, drawn], "crop": [None, 0.5, None, 0.5]})
    found = decode_all(cells, spec, tmp_path, silent).picture
    nearer = spec.model_copy(update={"crop": 0.5})
    assert np.array_equal(found(0), read_cell(path, spec).pixels)
    assert np.array_equal(found(1), read_cell(path, nearer).pixels)
    whole = Image.fromarray(draw_cell("EO", seed=3, size=96).image)
    middle = whole.resize((48, 48), Image.Resampling.BILINEAR, box=(24, 24, 72, 72))
    assert np.array_equal(found(3), np.asarray(middle))
    assert not np.array_equal(found(2), found(3))
    other = decode_all(cells.with_columns(crop=pl.lit(0.6)), spec, tmp_path, silent).picture
    assert not np.array_equal(other(1), found(1))  # the cache knows the crops apart


def test_a_picture_that_was_replaced_is_decoded_again(tmp_path: Path, laboratory: Path) -> None:
    path, spec = tmp_path / "cell.png", Preprocess(size=48)
    cells = pl.DataFrame({"path": [str(path)]})
    for code in ("EO", "LY"):
        path.write_bytes((laboratory / "lab" / code / "0.png").read_bytes())
        found = decode_all(cells, spec, tmp_path / "kept", silent)
        assert np.array_equal(found.picture(0), read_cell(path, spec).pixels)


def test_recipes_share_the_pictures_of_their_common_sources(tmp_path: Path, laboratory: Path) -> None:
    paths = [str(laboratory / "lab" / code / "0.png") for code in ("EO", "LY", "EO")]
    cells = pl.DataFrame({"path": paths, "source": ["near", "far", "near"]})
    both = decode_all(cells, Preprocess(size=48), tmp_path, silent)
    assert all(np.array_equal(both.picture(row), read_cell(Path(path), Preprocess(size=48)).pixels)
               for row, path in enumerate(paths))  # fmt: skip
    kept = set(tmp_path.glob("*.npy"))
    decode_all(cells.filter(pl.col("source") == "near"), Preprocess(size=48), tmp_path, silent)
    assert set(tmp_path.glob("*.npy")) == kept
    assert len(kept) == 2


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no space")
def test_a_full_disk_is_an_error_before_anything_is_decoded(
    tmp_path: Path, laboratory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    cells = pl.DataFrame({"path": [str(laboratory / "lab" / "EO" / "0.png")]})
    with pytest.raises(OutputError, match="the disk is full"):
        decode_all(cells, Preprocess(size=48), tmp_path / "kept", silent)
    assert list((tmp_path / "kept").iterdir()) == []
