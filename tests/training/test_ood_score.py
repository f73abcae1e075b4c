"""A cell is strange when it is far from every class, in a new direction, or when its class is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import TrainingError
from leukopy.core.progress import silent
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.network.ood_reference import OodReference
from leukopy.taxonomy import FINE
from leukopy.training.ood_score import (
    OodSettings,
    fit_ood_reference,
    ood_score_of,
    parts_of,
    run_network,
    scaled,
    some_of,
)

HEAD = (np.eye(11, dtype=np.float32), np.zeros(11, np.float32))
"""The embedding is the logits."""
INDEX = {cell.code: index for index, cell in enumerate(FINE)}
CLASSES = np.array([[6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0]], np.float32)
"""Where three classes lie; the fourth of the statistics varies, and tells nothing."""
STRAY = np.array([1, 1, 1, 20], np.float32)
RNG = np.random.default_rng(0)
CODES = np.arange(600) % 3
KNOWN = (CLASSES[CODES] + RNG.normal(size=(600, 4)) * STRAY).astype(np.float32)
SURE = np.full((1, 11), -2, np.float32)
SURE[0, INDEX["LY"]] = 8


@pytest.fixture(scope="module")
def reference() -> OodReference:
    return fit_ood_reference(KNOWN, CODES, np.ones(600), HEAD, OodSettings())


def parts(reference: OodReference, centre: list[float], **logits: float) -> np.ndarray:
    """Of a cell with these statistics and these logits; sure of its class where none are given."""
    row = np.full((1, 11), -2, np.float32) if logits else SURE
    for code, value in logits.items():
        row[0, INDEX[code]] = value
    return parts_of(reference, np.array([centre], np.float32), row)[0]


def test_far_is_the_distance_to_the_nearest_class_by_the_covariance_within(reference) -> None:
    def squared(*centre: float) -> float:
        return float(parts(reference, list(centre))[0])

    assert squared(6, 0, 0, 0) < 0.1
    assert squared(6, 0, 0, 20) == pytest.approx(1, abs=0.2)  # one deviation of what varies much
    assert squared(6, 0, 5, 0) == pytest.approx(25, rel=0.2)  # five of what does not
    assert squared(0, 6, 0, 0) < 0.1  # another class is as near


def test_new_is_a_direction_in_which_no_training_cell_lies(reference) -> None:
    known, between, further = ([6, 0, 0, 0], [5, 5, 0, 0], [12, 0, 0, 0])
    assert parts(reference, known)[1] < -0.99
    assert parts(reference, between)[1] > parts(reference, known)[1] + 0.01
    assert parts(reference, further)[1] < -0.99  # far, but nothing new


def test_doubtful_is_what_little_speaks_for_and_what_is_divided(reference) -> None:
    def doubtful(**logits: float) -> float:
        return float(parts(reference, [6, 0, 0, 0], **logits)[2])

    plain = doubtful(LY=8)
    assert doubtful(LY=3) > plain + 0.5
    assert doubtful(LY=7, MO=7) > plain
    assert doubtful(LY=12) < plain
    assert doubtful(SNE=7, BNE=7) < doubtful(LY=7, MO=7)  # two kinds of one coarse class: no doubt about that


def test_the_parts_count_alike(reference) -> None:
    known = RNG.normal(size=(2000, 3)) * [5, 1, 0.1] + [9, 0, 1]
    even = scaled(reference, known, 0.97)
    for part in range(3):
        barely_kept = even.middles.copy()
        barely_kept[part] += even.spreads[part]
        assert ood_score_of(even, barely_kept[None])[0] == pytest.approx(np.log1p(np.e), rel=1e-5)
    assert np.mean(known[:, 0] > even.middles[0] + even.spreads[0]) == pytest.approx(0.03, abs=0.002)


def test_cells_that_weigh_nothing_are_not_learnt_from() -> None:
    weights = np.r_[np.ones(600), np.zeros(50)]
    strays = np.full((50, 4), 99, np.float32)
    found = fit_ood_reference(np.r_[KNOWN, strays], np.r_[CODES, np.zeros(50, int)], weights, HEAD, OodSettings())
    assert parts(found, [6, 0, 0, 0])[0] < 0.1


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(TrainingError, match="of one class"):
        fit_ood_reference(KNOWN, np.zeros(600, int), np.ones(600), HEAD, OodSettings())


def test_some_cells_of_every_source_and_class() -> None:
    rows = [("a", "LY")] * 9 + [("a", "EO")] * 2 + [("b", "LY")] * 5
    cells = pl.DataFrame(rows, schema=["source", "code"], orient="row").with_row_index()
    some = some_of(cells, 4, 0)
    assert some.group_by("source", "code", maintain_order=True).len()["len"].to_list() == [4, 2, 4]
    assert some["index"].is_sorted()
    assert some.equals(some_of(cells, 4, 0))
    assert not some.equals(some_of(cells, 4, 1))


def test_looking_skips_what_cannot_be_read_and_draws_what_is_drawn(colour_model, tmp_path: Path) -> None:
    good = colour_model.draw(tmp_path / "good.png", "LY")
    (tmp_path / "bad.png").write_text("no picture")
    paths = [str(good), str(tmp_path / "bad.png"), "drawn:EO:3"]
    cells = pl.DataFrame({"cell_id": ["good", "bad", "drawn"], "path": paths, "code": ["LY", "LY", "EO"]})
    seen = run_network(open_bundle(colour_model.path), cells, tmp_path / "cache", silent, ("logits", "embedding"))
    assert seen.cells["cell_id"].to_list() == ["good", "drawn"]
    assert seen.failures["cell_id"].to_list() == ["bad"]
    assert [seen.outputs[name].shape for name in ("logits", "embedding")] == [(2, 11), (2, 3)]
    assert (seen.pictures(np.array([0])) == read_cell(good, Preprocess(size=32)).pixels).all()
    nothing = run_network(open_bundle(colour_model.path), cells.head(0), tmp_path / "cache", silent)
    assert nothing.outputs["embedding"].shape == (0, 3)
