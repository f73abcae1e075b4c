"""Limits of sampling and classification error: around those of sampling, by the laboratory of the slide."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import Confusion, CountError, open_bundle
from leukopy.core.errors import SettingsError
from leukopy.slides.count_error import SlideError, error_of_slide, with_total_limits
from leukopy.slides.differential import differential
from leukopy.slides.differential_files import count_cells, write_differential
from leukopy.taxonomy import FINE, CellClass, Place
from support.classified import classified_cells

CODES = tuple(cell.code for cell in FINE)
USUAL = Counter(SNE=110, BNE=6, LY=56, MO=14, EO=6, BA=2, ERB=2, PLT=9, UNIDENTIFIED=3)
FOREIGN = {"class_cells": {"NEU": 9.0}, "foreign_probability": 0.8}
HOME = {"class_cells": {"NEU": 9.0}, "foreign_probability": 0.1}


def confusion(right: float, overdispersion: float, origin: str = "some cells") -> Confusion:
    """Each class is answered rightly with a probability; the other answers are equally likely."""
    rest = (1 - right) / len(CODES)
    shares = tuple(tuple(right if row == column else rest for column in range(12)) for row in range(11))
    return Confusion(shares=shares, overdispersion=(overdispersion,) * 11, cells=(100,) * 11, fitted_on=origin)


@pytest.fixture
def error() -> CountError:
    return CountError(
        classes=CODES, answers=(*CODES, "UNIDENTIFIED"), unseen=confusion(0.8, 0.2, "5 patients"),
        home=confusion(0.99, 0.01, "home"), home_below=0.25, method="m",
    )  # fmt: skip


def test_total_limits_enclose_those_of_sampling(error: CountError) -> None:
    plain = differential(USUAL)
    found = with_total_limits(plain, USUAL, SlideError(error, error.unseen))
    assert found.classification_error == "5 patients"
    for before, line in zip((*plain.lines, *plain.beside), (*found.lines, *found.beside), strict=True):
        assert (line.low, line.high, line.percent) == (before.low, before.high, before.percent)
        assert 0 <= line.total_low <= line.low <= line.high <= line.total_high
    assert all(line.total_high <= 100 for line in found.lines)


def test_more_confusion_means_wider_limits_and_says_so(error: CountError) -> None:
    home, foreign = (
        with_total_limits(differential(USUAL), USUAL, error_of_slide(error, survey)) for survey in (HOME, FOREIGN)
    )
    widths = [{line.code: line.total_high - line.total_low for line in one.lines} for one in (home, foreign)]
    assert widths[1]["LY"] > 1.3 * widths[0]["LY"]
    assert [line.code for line in home.lines if line.mainly_classification] == []
    assert {"NEU", "LY"} <= {line.code for line in foreign.lines if line.mainly_classification}


def test_sums_are_no_wider_than_parts_that_are_taken_for_each_other(error: CountError) -> None:
    shares = np.array(error.home.shares)
    shares[0], shares[1] = 0.0, 0.0
    shares[:2, :2] = 0.5  # segmented and band neutrophils are never told apart
    mixed = error.home.model_copy(update={"shares": tuple(map(tuple, shares.tolist())), "overdispersion": (0.3,) * 11})
    found = with_total_limits(differential(USUAL), USUAL, SlideError(error, mixed))
    lines = {line.code: line for line in found.lines}
    assert lines["SNE"].total_high - lines["SNE"].total_low > 2 * (lines["NEU"].total_high - lines["NEU"].total_low)


def test_home_needs_a_surveyed_slide(error: CountError) -> None:
    assert error_of_slide(error, HOME).confusion.fitted_on == "home"
    assert error_of_slide(error, FOREIGN).confusion.fitted_on == "5 patients"
    assert error_of_slide(error, HOME | {"class_cells": None}).confusion.fitted_on == "5 patients"
    assert error_of_slide(error, {}).confusion.fitted_on == "5 patients"
    assert error_of_slide(error.model_copy(update={"home": None}), HOME).confusion.fitted_on == "5 patients"
    assert error_of_slide(None, HOME) is None


def test_cells_that_a_reader_has_seen_have_no_classification_error(error: CountError) -> None:
    plain, own = differential(USUAL), SlideError(error, error.unseen)

    def width(seen: Counter[str]) -> float:
        found = with_total_limits(plain, USUAL - seen, own, seen)
        line = next(line for line in found.lines if line.code == "LY")
        return line.total_high - line.total_low

    half = Counter({code: count // 2 for code, count in USUAL.items()})
    lymphocytes = next(line for line in plain.lines if line.code == "LY")
    assert width(Counter()) > 1.1 * width(half) > 1.1 * width(USUAL)
    assert width(USUAL) == pytest.approx(lymphocytes.high - lymphocytes.low, rel=0.1)


def test_classes_that_readers_alone_give_count_as_leukocytes(error: CountError) -> None:
    own = CellClass("HAIRY", "hairy cell", "tricholeucocyte", None, Place.DIFFERENTIAL, "#000000")
    seen = Counter(HAIRY=50, NEU=50, LY=50)
    found = with_total_limits(differential(seen, own=(own,)), Counter(), SlideError(error, error.unseen), seen)
    lines = {line.code: line for line in found.lines}
    for code in ("HAIRY", "NEU", "LY"):
        assert 20 < lines[code].total_low < 33.3 < lines[code].total_high < 46


def test_a_flag_within_the_wider_limits_is_within_error(error: CountError) -> None:
    counts = Counter(SNE=120, LY=20, MO=60)  # lymphocytes 10 %, range 20 to 40
    plain = {line.code: line for line in differential(counts).lines}
    wide = with_total_limits(differential(counts), counts, SlideError(error, confusion(0.6, 0.4)))
    assert plain["LY"].beyond_error
    assert not next(line for line in wide.lines if line.code == "LY").beyond_error


def test_no_leukocyte_has_no_limits(error: CountError) -> None:
    found = with_total_limits(differential({"PLT": 3}), {"PLT": 3}, SlideError(error, error.unseen))
    assert found == differential({"PLT": 3})


def test_files_hold_both_limits(error: CountError, tmp_path) -> None:
    cells = classified_cells({"SNE": 60, "LY": 40, "PLT": 3}).lazy()
    write_differential(tmp_path, count_cells(cells, error=SlideError(error, error.unseen)))
    table = {row["code"]: row for row in pl.read_csv(tmp_path / "differential.csv").iter_rows(named=True)}
    assert table["LY"]["total_low95"] < table["LY"]["low95"] < table["LY"]["high95"] < table["LY"]["total_high95"]
    assert table["LY"]["mainly_classification"] is True
    assert table["PLT"]["total_low95"] is None
    write_differential(tmp_path, count_cells(cells))
    assert pl.read_csv(tmp_path / "differential.csv")["total_low95"].null_count() == len(table)


def test_a_card_states_the_error_of_its_own_classes_alone(error: CountError) -> None:
    card = open_bundle("default").healthy.card
    assert card.count_error is None
    with pytest.raises(SettingsError, match="not those that the model answers"):
        card.build(card.model_dump() | {"count_error": error.model_copy(update={"classes": CODES[1:]}).model_dump()})
    assert card.build(card.model_dump() | {"count_error": error.model_dump()}).count_error == error
