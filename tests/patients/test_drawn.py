"""Drawn patients: their truth, and that it can be seen."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError
from leukopy.patients.drawn import LYMPHOCYTES, DrawnPatient, draw_cohort, draw_patient
from leukopy.synthesis import DrawnCell, draw_cell, random_appearance


@cache
def of_kind(kind: str) -> tuple[DrawnCell, ...]:
    """Eight cells of a kind, drawn once for all tests."""
    return tuple(draw_cell("LY", seed=seed, size=160, morphology=LYMPHOCYTES[kind]) for seed in range(8))


@cache
def cohort() -> tuple[DrawnPatient, ...]:
    return tuple(draw_cohort(40, seed=3, tumoral=0.6, cells=(6, 12), size=48))


def median(values: list[float]) -> float:
    return float(np.median(values))


def nuclear_share(kind: str) -> float:
    return median([cell.nucleus_mask.sum() / cell.cell_mask.sum() for cell in of_kind(kind)])


def area_um2(kind: str) -> float:
    return median([cell.cell_mask.sum() * cell.um_per_px**2 for cell in of_kind(kind)])


def nuclear_light(kind: str) -> float:
    """Green light that passes the nucleus, 0-255."""
    return median([float(np.median(cell.image[cell.nucleus_mask][:, 1])) for cell in of_kind(kind)])


def test_kinds_look_as_their_names_say():
    assert area_um2("small") < area_um2("typical") < area_um2("large")
    assert nuclear_share("large") < 0.5
    assert nuclear_share("small") > nuclear_share("typical") > 0.65
    assert nuclear_light("small") < nuclear_light("large") < nuclear_light("smudge")


def test_without_a_morphology_a_cell_is_drawn_as_its_class():
    plain, named = draw_cell("LY", seed=4, size=64), draw_cell("LY", seed=4, size=64, morphology=LYMPHOCYTES["typical"])
    assert np.array_equal(plain.image, named.image)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(0, 1), st.integers(1, 5), st.booleans())
def test_a_patient_is_whole_and_can_be_drawn_again(seed, label, cells, foreign):
    look = random_appearance(seed) if foreign else None
    first, again = (draw_patient("x", label, seed=seed, cells=cells, size=40, appearance=look) for _ in range(2))
    assert (first.patient_id, first.label, len(first.cells), len(first.kinds)) == ("x", label, cells, cells)
    assert 18 <= first.age <= 99
    assert 4 < first.lymphocytes <= 400
    assert first.gender in ("F", "M")
    assert set(first.kinds) <= set(LYMPHOCYTES)
    assert all(cell.image.shape == (40, 40, 3) and cell.code == "LY" for cell in first.cells)
    facts = [(each.age, each.lymphocytes, each.gender, each.kinds) for each in (first, again)]
    assert facts[0] == facts[1]
    assert all(np.array_equal(one.image, two.image) for one, two in zip(first.cells, again.cells, strict=True))


def test_a_cohort_has_the_patients_that_were_asked_for():
    assert [patient.patient_id for patient in cohort()] == [f"D{number}" for number in range(1, 41)]
    labels = [patient.label for patient in cohort()]
    assert sum(labels) == 24
    assert labels != sorted(labels)
    assert labels != sorted(labels, reverse=True)
    assert {len(patient.cells) for patient in cohort()} == set(range(6, 13))


def test_tumoral_patients_are_older_with_more_and_smaller_cells():
    reactive, tumoral = ([each for each in cohort() if each.label == label] for label in (0, 1))

    def rarity(patient: DrawnPatient, kind: str) -> float:
        return patient.kinds.count(kind) / len(patient.kinds)

    assert median([each.age for each in reactive]) + 10 < median([each.age for each in tumoral])
    assert median([each.lymphocytes for each in reactive]) * 1.5 < median([each.lymphocytes for each in tumoral])
    assert (
        median([rarity(each, "large") for each in reactive]) > 0.3 > median([rarity(each, "large") for each in tumoral])
    )
    assert (
        median([rarity(each, "small") for each in tumoral]) > 0.5 > median([rarity(each, "small") for each in reactive])
    )
    assert not any("smudge" in each.kinds for each in reactive)


def test_no_single_number_gives_the_label_away():
    """Else the demonstration would show nothing: the labels overlap in age, in count and in the mixture of cells."""
    reactive, tumoral = ([each for each in cohort() if each.label == label] for label in (0, 1))
    assert max(each.age for each in reactive) > min(each.age for each in tumoral)
    assert max(each.lymphocytes for each in reactive) > min(each.lymphocytes for each in tumoral)
    assert any("large" in each.kinds for each in tumoral)


@pytest.mark.parametrize(("label", "cells"), [(2, 5), (-1, 5), (1, 0)])
def test_what_is_no_patient_is_refused(label, cells):
    with pytest.raises(SettingsError, match="cannot be drawn"):
        draw_patient("x", label, seed=1, cells=cells)


@pytest.mark.parametrize(("tumoral", "expected"), [(0.0, 0), (1.0, 5), (0.5, 2)])
def test_share_of_tumoral_patients(tumoral, expected):
    assert sum(each.label for each in draw_cohort(5, seed=1, tumoral=tumoral, cells=(1, 1), size=32)) == expected
