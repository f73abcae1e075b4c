"""Limits of a case that hold the model's errors: for cells that no reader has seen, by the card of the case's model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from leukopy.bundle import open_bundle
from leukopy.review.case_differential import count_case
from leukopy.review.case_error import error_of_case
from leukopy.review.documents import fhir_bundle, signed_csv, signed_html
from leukopy.review.records import Case, CellRow, DifferentialLine, SignedContent, Status
from leukopy.review.settings import ReviewSettings

CARD = open_bundle("default").card
MODEL = f"{CARD.name} {CARD.model.sha256[:12]}"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = ReviewSettings(folder=Path("unused"))
COUNTS = {"SNE": 600, "LY": 300, "MO": 80, "ERB": 20, "UNIDENTIFIED": 30}


def case(foreign: float | None = None, model: str | None = MODEL) -> Case:
    check = {"distance": 0.9, "nearest": "PBC", "cells": 100, "unlike_training": False, "foreign_probability": foreign}
    return Case.model_validate({
        "slide": "S1", "id": "ab" * 16, "status": Status.DRAFT, "version": 1, "revision": 1, "owner": "reader",
        "created": NOW, "changed": NOW, "cells": 0, "failures": 0, "corrected": 0, "model": model,
        "slide_check": check if foreign is not None else None,
    })  # fmt: skip


def cells(seen: float = 0.0) -> tuple[CellRow, ...]:
    """A usual slide; a reader has seen a share of each class."""
    rows = [(code, number < seen * count) for code, count in COUNTS.items() for number in range(count)]
    return tuple(
        CellRow(
            id=number, name=f"c{number}.png", code=code, model_code=code, confidence=0.9, version=1,
            flags=("unidentified",) if code == "UNIDENTIFIED" else (), seen_by="Dr A" if looked else None,
        )
        for number, (code, looked) in enumerate(rows)
    )  # fmt: skip


def line(rows: Sequence[CellRow], code: str = "SNE", foreign: float = 0.8) -> DifferentialLine:
    own = case(foreign)
    view = count_case(rows, (), own, SETTINGS, error=error_of_case(own, "default"))
    return next(one for one in view.lines if one.code == code)


def test_cells_that_nobody_has_seen_have_the_models_error() -> None:
    unseen = line(cells())
    assert unseen.total_low <= unseen.low < unseen.high < unseen.total_high
    assert unseen.mainly_classification


def test_looking_at_the_cells_narrows_the_limits_to_those_of_sampling() -> None:
    widths = [found.total_high - found.total_low for found in map(line, (cells(), cells(0.5), cells(1.0)))]
    assert widths[0] > widths[1] > widths[2]
    seen = line(cells(1.0))
    assert widths[2] == pytest.approx(seen.high - seen.low, rel=0.1)
    assert not seen.mainly_classification


def test_a_corrected_cell_is_a_seen_one() -> None:
    corrected = tuple(cell.model_copy(update={"model_code": "MMY"}) for cell in cells())
    assert line(corrected) == line(cells(1.0))


def test_the_reference_laboratory_has_its_own_confusion() -> None:
    home, foreign = line(cells(), foreign=0.1), line(cells(), foreign=0.8)
    assert home.total_high - home.total_low < foreign.total_high - foreign.total_low
    assert error_of_case(case(), "default").confusion == CARD.count_error.unseen


def test_another_model_or_none_states_sampling_error_alone(tmp_path: Path) -> None:
    for own, model in ((case(model=None), "default"), (case(model="default 000000000000"), "default"),
                       (case(), str(tmp_path / "gone"))):  # fmt: skip
        assert error_of_case(own, model) is None
        view = count_case(cells(), (), own, SETTINGS, error=None)
        assert {one.total_low for one in view.lines} == {None}


@pytest.fixture
def signed(build_content: Callable[..., SignedContent]) -> SignedContent:
    content, own = build_content(), case(0.8)
    view = count_case(cells(), (), own, SETTINGS, error=error_of_case(own, "default"))
    return content.model_copy(update={"differential": view})


def test_documents_hold_both_limits(signed: SignedContent) -> None:
    neutrophils = next(one for one in signed.differential.lines if one.code == "SNE")
    low, high = (f"{end:.1f}" for end in (neutrophils.total_low, neutrophils.total_high))
    row = next(one for one in csv.DictReader(StringIO(signed_csv(signed), newline="")) if one["code"] == "SNE")
    assert (row["total_low95"], row["total_high95"], row["mainly_classification"]) == (low, high, "yes")
    parts = {
        part["code"]["coding"][-1]["code"]: part["valueQuantity"]["value"]
        for entry in json.loads(fhir_bundle(signed))["entry"]
        if entry["resource"]["resourceType"] == "Observation"
        and entry["resource"]["code"]["coding"][-1]["code"] == "SNE.percent"
        for part in entry["resource"]["component"]
    }
    assert (parts["total-low95"], parts["total-high95"]) == (float(low), float(high))
    assert f"with wrong classes {low} – {high}" in signed_html(signed)
