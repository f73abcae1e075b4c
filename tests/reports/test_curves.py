from __future__ import annotations

import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import InputError
from leukopy.reports.curves import best_epoch, read_curves, write_curves

_HEADER = "epoch,lr-AdamW/pg1,step,train/loss,val/coarse_accuracy,val/loss"
# As Lightning writes them: the rate in a row without an epoch, validation and training in rows of their own.
_FIRST = f"{_HEADER}\n,1e-05,0,,,\n0,,217,,0.5,2.0\n0,,217,1.5,,\n,2e-05,218,,,\n1,,435,,0.6,1.0\n1,,435,1.2,,\n"
_RESUMED = f"{_HEADER}\n1,,435,,0.7,0.8\n1,,435,1.1,,\n2,,653,,0.8,0.9\n2,,653,0.9,,\n"


def _version(run, number, text):
    folder = run / "curves" / f"version_{number}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(text)


def test_a_row_per_epoch(tmp_path):
    _version(tmp_path, 0, _FIRST)
    assert read_curves(tmp_path).to_dict(as_series=False) == {
        "epoch": [0, 1],
        "train/loss": [1.5, 1.2],
        "val/coarse_accuracy": [0.5, 0.6],
        "val/loss": [2.0, 1.0],
    }


def test_starts_are_joined_and_the_later_wins(tmp_path):
    _version(tmp_path, 9, _FIRST)
    _version(tmp_path, 10, _RESUMED)  # after 9, though before it in the alphabet
    curves = read_curves(tmp_path)
    assert curves["val/coarse_accuracy"].to_list() == [0.5, 0.7, 0.8]
    assert curves["train/loss"].to_list() == [1.5, 1.1, 0.9]
    assert best_epoch(curves) == 1


def test_a_start_that_was_stopped_within_its_first_epoch_is_joined(tmp_path):
    _version(tmp_path, 0, "lr-AdamW/pg1,step\n1e-05,0\n")
    assert read_curves(tmp_path).is_empty()
    _version(tmp_path, 1, _FIRST)
    assert read_curves(tmp_path)["epoch"].to_list() == [0, 1]


def test_a_start_that_logged_other_figures_is_joined_too(tmp_path):
    _version(tmp_path, 0, _FIRST)
    _version(tmp_path, 1, "epoch,train/coarse_accuracy,val/loss\n2,0.9,0.5\n")
    curves = read_curves(tmp_path)
    assert curves["train/coarse_accuracy"].to_list() == [None, None, 0.9]
    assert curves["val/loss"].to_list() == [2.0, 1.0, 0.5]


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    _version(tmp_path, 0, f"{_HEADER}\n0,,1,,0.5,2.0\n1,,2,,0.1,nan\n")
    assert best_epoch(read_curves(tmp_path)) == 0
    assert write_curves(tmp_path) is not None


def test_the_picture_is_the_same_each_time(tmp_path):
    _version(tmp_path, 0, _FIRST)
    path = write_curves(tmp_path)
    assert path == tmp_path / "curves.png"
    with Image.open(path) as picture:
        picture.load()
        assert min(picture.size) > 500
        used = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {(0x8A, 0x8A, 0x8A), (0x5A, 0x3D, 0x8A)} <= used  # training and validation are drawn
    again = write_curves(tmp_path, tmp_path / "again.png")
    assert again.read_bytes() == path.read_bytes()


def test_all_trainings_that_are_averaged_are_drawn(tmp_path):
    _version(tmp_path / "seed0", 0, _FIRST)
    one = write_curves(tmp_path).read_bytes()
    _version(tmp_path / "seed1", 0, _RESUMED)
    assert write_curves(tmp_path).read_bytes() != one


def test_the_kept_epoch_is_the_one_that_the_recipe_asks_for(tmp_path):
    _version(tmp_path, 0, f"{_HEADER}\n0,,1,,0.5,1.0\n1,,2,,0.4,2.0\n")
    best = write_curves(tmp_path).read_bytes()
    (tmp_path / "run.json").write_text('{"settings": {"optimisation": {"epoch": "last"}}}')
    assert write_curves(tmp_path).read_bytes() != best


@pytest.mark.parametrize("text", [None, f"{_HEADER}\n", f"{_HEADER}\n,1e-05,0,,,\n"])
def test_no_finished_epoch_is_no_picture(tmp_path, text):
    if text is not None:
        _version(tmp_path, 0, text)
    assert write_curves(tmp_path) is None
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("text", ["", "loss\n1\n", f"{_HEADER}\n0,,1,,0.5,low\n", "epoch,val/loss\n1.5x,2\n"])
def test_a_broken_file_is_named(tmp_path, text):
    _version(tmp_path, 0, text)
    with pytest.raises(InputError, match=r"version_0/metrics\.csv: not the curves of a training"):
        write_curves(tmp_path)


def test_other_folders_are_passed_over(tmp_path):
    _version(tmp_path, 0, _FIRST)
    other = tmp_path / "curves" / "version_old"
    other.mkdir()
    (other / "metrics.csv").write_text("nothing")
    assert isinstance(read_curves(tmp_path), pl.DataFrame)
    assert read_curves(tmp_path).height == 2
