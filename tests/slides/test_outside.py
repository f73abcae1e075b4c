"""Classes outside on a slide: its own shares, the columns of its cells, and the alarm."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import leukopy
from leukopy.bundle import OutsideClasses, open_bundle
from leukopy.slides.alarm import AlarmSettings, blast_alarm
from leukopy.slides.classifier import Classifier
from leukopy.slides.columns import among_fine
from leukopy.slides.outside import estimate_shift, is_outside, with_fine
from leukopy.taxonomy import FINE
from support.colour_model import draw_outside

HOW = OutsideClasses(
    classes=("BLAST", "SMUDGE"), prior=(0.5, 0.3, 0.2), prior_cells=50, method="made for tests", fitted_on="nothing"
)


def literal_shift(logits: np.ndarray, how: OutsideClasses) -> list[float]:
    """Saerens' algorithm cell by cell, its shares with the prior's cells added."""
    shares = list(how.prior)
    for _ in range(20):
        sums = [how.prior_cells * share for share in how.prior]
        for row in logits.tolist():
            weights = [
                np.exp(value) * share / prior for value, share, prior in zip([0, *row], shares, how.prior, strict=True)
            ]
            sums = [total + weight / sum(weights) for total, weight in zip(sums, weights, strict=True)]
        shares = [total / (len(logits) + how.prior_cells) for total in sums]
    ratios = [np.log(share / prior) for share, prior in zip(shares, how.prior, strict=True)]
    return [ratio - ratios[0] for ratio in ratios[1:]]


@pytest.mark.parametrize("centre", [(-4.0, -6.0), (4.0, 0.0), (0.0, 3.0)])
def test_the_shift_is_that_of_a_literal_version(centre: tuple[float, float]) -> None:
    logits = np.random.default_rng(0).normal(centre, 2, (60, 2))
    assert estimate_shift(logits, HOW) == pytest.approx(literal_shift(logits, HOW), abs=1e-3)


def test_a_slide_without_such_cells_calls_fewer_and_one_full_of_them_more() -> None:
    rare, common = (estimate_shift(np.full((100, 2), (logit, -9.0)), HOW)[0] for logit in (-5.0, 5.0))
    assert rare < -1 < 0 < common
    close = np.array([[0.5, -9.0]])
    assert not is_outside(with_fine(close, (rare, rare)))[0]
    assert is_outside(with_fine(close))[0]


def test_the_prior_itself_shifts_nothing() -> None:
    assert estimate_shift(np.zeros((0, 2)), HOW) == (0, 0)


def test_probabilities_are_of_the_fine_classes_and_those_outside() -> None:
    found = with_fine(np.log([[2.0, 1.0]]))
    assert found[0] == pytest.approx([0.25, 0.5, 0.25])


@pytest.fixture(scope="module")
def cells(outside_model, tmp_path_factory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("cells")
    outside_model.draw_folder(folder, 44)
    draw_outside(folder, "BLAST", 8)
    draw_outside(folder, "SMUDGE", 4)
    return leukopy.load(str(outside_model.path)).predict(sorted(folder.iterdir())).cells


def test_a_class_outside_is_an_answer_with_its_probability(cells: pl.DataFrame) -> None:
    assert set(cells["fine"].to_list()) == {*(cell.code for cell in FINE), "BLAST", "SMUDGE"}
    for code, count in (("BLAST", 8), ("SMUDGE", 4)):
        own = cells.filter(pl.col("cell_id").str.contains(code))
        assert own["fine"].to_list() == own["coarse"].to_list() == [code] * count
        assert own["fine_confidence"].to_list() == own["confidence"].to_list() == own[f"p_{code}"].to_list()
    codes = [*(f"p_{cell.code}" for cell in FINE), "p_BLAST", "p_SMUDGE"]
    np.testing.assert_allclose(cells.select(pl.sum_horizontal(codes)).to_series(), 1, atol=1e-4)


def test_known_cells_have_the_class_that_they_have_without_classes_outside(cells: pl.DataFrame, outside_model) -> None:
    healthy = Classifier.open(outside_model.path, classes="healthy")
    assert healthy.card.answers == tuple(cell.code for cell in FINE)
    before = healthy.predict(cells["path"].to_list()).cells
    assert "p_BLAST" not in before.columns
    restored = among_fine(cells)
    assert restored["outside"].drop_nulls().len() == 12
    for name in ("coarse", "fine"):
        assert restored[name].equals(before[name])
    for code in ("SNE", "LY", "IG"):
        np.testing.assert_allclose(restored[f"p_{code}"], before[f"p_{code}"], atol=1e-3)


def test_cells_of_a_model_without_classes_outside_stay(colour_model, tmp_path) -> None:
    colour_model.draw_folder(tmp_path / "cells", 11)
    found = leukopy.load(str(colour_model.path)).predict(sorted((tmp_path / "cells").iterdir())).cells
    assert among_fine(found).drop("outside").equals(found)


def test_the_default_model_answers_blasts_and_smudge_cells() -> None:
    card = open_bundle("default").card
    assert card.answers == (*(cell.code for cell in FINE), "BLAST", "SMUDGE")
    assert card.outside is not None
    assert any("Johns Hopkins" in use.name for use in card.outside.trained_on)


@pytest.mark.parametrize(
    ("blasts", "sure", "leukocytes", "raised"),
    [
        (0, 0, 200, False),
        (1, 0, 200, False),
        (1, 1, 200, True),
        (6, 0, 200, True),
        (4, 0, 200, False),
        (0, 0, 0, False),
    ],
)
def test_a_sure_blast_or_a_share_beyond_its_limit_raises_the_alarm(
    blasts: int, sure: int, leukocytes: int, raised: bool
) -> None:
    alarm = blast_alarm(blasts, sure, leukocytes)
    assert alarm.raised is raised
    assert (alarm.percent is None) is (leukocytes == 0)
    if raised:
        assert f"Blasts: {blasts} of {leukocytes}" in alarm.message


@pytest.mark.parametrize("settings", [AlarmSettings(share=2), AlarmSettings(share=50)])
def test_a_laboratory_sets_the_share(settings: AlarmSettings) -> None:
    assert blast_alarm(6, 0, 200, settings).raised is False


def test_no_blast_is_never_called_a_proof() -> None:
    assert "does not exclude blasts" in blast_alarm(0, 0, 200).message


def test_a_slide_may_be_of_any_size(outside_model, tmp_path) -> None:
    paths = draw_outside(tmp_path, "BLAST", 1)
    assert leukopy.load(str(outside_model.path)).predict(paths).cells["fine"].to_list() == ["BLAST"]
