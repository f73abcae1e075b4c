"""The lymphocytosis result of a case, by a patient's model that can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from leukopy.core.errors import BundleError, InputError
from leukopy.patients.inference.cells import CellReader
from leukopy.review import lymphocytosis as module
from leukopy.review.lymphocytosis import LymphocytosisPredictor
from leukopy.review.records import Case, CellRow, Status

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def case(**values: object) -> Case:
    return Case.model_validate({
        "slide": "S1", "id": "ab" * 16, "status": Status.DRAFT, "version": 1, "revision": 1, "owner": "reader",
        "created": NOW, "changed": NOW, "cells": 0, "failures": 0, "corrected": 0, "age": 70, "lymphocytes": 16,
        **values,
    })  # fmt: skip


def cells(codes: Sequence[str]) -> list[CellRow]:
    return [
        CellRow(id=number, name=f"{number}.png", code=code, model_code="LY", confidence=0.9, version=1)
        for number, code in enumerate(codes, start=10)
    ]


@pytest.fixture
def lymphocytosis(
    tmp_path: Path, colour_model: Any, build_patient_model: Callable[..., Path]
) -> LymphocytosisPredictor:
    """Log-odds: the mean green of the cells, and .02 a year above 60, .5 a doubling of the count above 8."""
    directions = np.array([[0], [1], [0]], np.float32)
    return LymphocytosisPredictor(str(build_patient_model(tmp_path / "patients", colour_model.path, directions)))


@pytest.fixture
def path_of(tmp_path: Path, colour_model: Any) -> Callable[[int], Path]:
    """Even cells have the colour of a lymphocyte, odd ones that of a segmented neutrophil."""
    for number in range(10, 40):
        colour_model.draw(tmp_path / f"{number}.png", "SNE" if number % 2 else "LY")
    return lambda number: tmp_path / f"{number}.png"


def greens(colour_model: Any, path_of: Callable[[int], Path], numbers: Sequence[int]) -> np.ndarray:
    from leukopy.bundle import open_bundle
    from leukopy.inference import embeddings

    found, _ = embeddings(open_bundle(colour_model.path), [path_of(number) for number in numbers])
    return found[:, 1]


def test_it_is_the_models_answer_on_the_lymphocytes_alone(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path], colour_model: Any
) -> None:
    rows = cells(["LY"] * 10 + ["LYA"] * 5 + ["SNE"] * 5 + ["ERB"] * 5)
    found = lymphocytosis.predict(case(), rows, path_of)
    green = greens(colour_model, path_of, range(10, 25))
    clinical = 0.02 * (70 - 60) + 0.5 * 1  # 16 is one doubling of 8
    assert found.lymphocytes_read == 15
    assert found.probability == pytest.approx(float(expit(green.mean() + clinical)), abs=1e-4)
    assert found.clinical_share == pytest.approx(clinical, abs=1e-4)
    assert (found.threshold, found.operating_point) == (0.5, "balanced")
    assert (found.sensitivity, found.specificity) == (0.9, 0.85)
    assert found.decision == ("tumoral" if found.probability >= 0.5 else "reactive")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.probability <= found.high
    assert found.model.startswith("drawn ")
    # What a cell adds: the mean with it minus the mean without it.
    for one in found.cells:
        row = one.cell - 10
        assert one.influence == pytest.approx(green.mean() - np.delete(green, row).mean(), abs=1e-4)
    assert {one.influence > 0 for one in found.cells} == {True, False}


def test_flags_come_as_sentences_and_as_words(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path]
) -> None:
    found = lymphocytosis.predict(case(age=95), cells(["LY"] * 4), path_of)
    assert found.flag_words[:2] == ("outside_training", "few_cells")
    assert len(found.flags) == len(found.flag_words)
    assert "95 years" in found.flags[0]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"age": None}, "age is not known"),
        ({"lymphocytes": None}, "lymphocyte count is not known"),
        ({"age": None, "lymphocytes": None}, "age and lymphocyte count"),
        ({"lymphocytes": 1500}, "looks like cells/µL"),
    ],
)
def test_what_is_missing_is_asked_for(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path], values: dict[str, object], missing: str
) -> None:
    with pytest.raises(InputError, match=missing):
        lymphocytosis.predict(case(**values), cells(["LY"]), path_of)


def test_no_lymphocyte_no_result(lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path]) -> None:
    with pytest.raises(InputError, match="no cell of this case is a lymphocyte"):
        lymphocytosis.predict(case(), cells(["SNE", "MO"]), path_of)


def test_pictures_that_are_gone_are_left_out_and_all_gone_is_said(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path]
) -> None:
    path_of(11).unlink()
    assert lymphocytosis.predict(case(), cells(["LY"] * 12), path_of).lymphocytes_read == 11
    path_of(30).unlink()
    with pytest.raises(InputError, match="none of the pictures"):
        lymphocytosis.predict(case(), cells(["SNE"] * 20 + ["LY"]), path_of)


def test_after_a_correction_no_picture_is_read_again(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lymphocytosis.predict(case(), cells(["LY"] * 10), path_of)
    monkeypatch.setattr(CellReader, "features", lambda *_: pytest.fail("a picture was read again"))
    second = lymphocytosis.predict(case(), cells(["LY"] * 9 + ["SNE"]), path_of)
    assert (first.lymphocytes_read, second.lymphocytes_read) == (10, 9)
    assert second.probability != first.probability


def test_more_lymphocytes_than_are_kept_are_all_judged(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = lymphocytosis.predict(case(), cells(["LY"] * 20), path_of)
    monkeypatch.setattr(module, "_PICTURES", 4)
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    again = lymphocytosis.predict(case(comment="x", age=70.5), cells(["LY"] * 20), path_of)
    assert again.lymphocytes_read == everything.lymphocytes_read == 20
    fresh = LymphocytosisPredictor(lymphocytosis.name).predict(case(), cells(["LY"] * 20), path_of)
    assert fresh.probability == pytest.approx(everything.probability)


def test_a_result_is_kept_until_something_changes(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path]
) -> None:
    rows = cells(["LY"] * 10)
    first = lymphocytosis.predict(case(), rows, path_of)
    assert lymphocytosis.predict(case(comment="another"), rows, path_of) is first
    assert lymphocytosis.predict(case(age=40), rows, path_of).probability != first.probability
    assert lymphocytosis.predict(case(), rows[:9], path_of) is not first


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(BundleError, match="nowhere"):
        LymphocytosisPredictor("nowhere").predict(case(), cells(["LY"]), lambda _: Path("unused"))


def test_cells_that_the_model_leaves_unidentified_are_called_nothing(
    lymphocytosis: LymphocytosisPredictor, path_of: Callable[[int], Path]
) -> None:
    """The share of other cells is that among the cells which the model of the case names."""
    rows = cells(["LY"] * 12)
    others = [row.model_copy(update={"model_code": "MO"}) for row in rows[:7]]
    unknown = [row.model_copy(update={"model_code": "UNIDENTIFIED"}) for row in rows[:7]]
    assert "not_lymphocytes" in lymphocytosis.predict(case(), [*others, *rows[7:]], path_of).flag_words
    assert "not_lymphocytes" not in lymphocytosis.predict(case(), [*unknown, *rows[7:]], path_of).flag_words
