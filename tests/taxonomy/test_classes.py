"""The classes, their order and their sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError, UnknownLabelError
from leukopy.taxonomy import (
    COARSE,
    DISPLAY_ORDER,
    FINE,
    LABEL_MAPS,
    OUTSIDE,
    Place,
    coarse_matrix,
    digest,
    find,
    fine_members,
    label_map,
)


def test_the_order_of_classes_is_fixed() -> None:
    """Every probability vector and every bundle in the field depends on it: changing it is a new taxonomy."""
    assert [cell.code for cell in FINE] == ["SNE", "BNE", "EO", "BA", "LY", "MO", "MMY", "MY", "PMY", "ERB", "PLT"]
    assert [cell.code for cell in COARSE] == ["NEU", "EO", "BA", "LY", "MO", "IG", "ERB", "PLT"]
    assert digest() == "f5060635927e1bdb"


def test_only_leukocytes_are_part_of_the_hundred() -> None:
    beside = {cell.code: cell.place for cell in FINE if cell.place is not Place.DIFFERENTIAL}
    assert beside == {"ERB": Place.PER_100_LEUKOCYTES, "PLT": Place.OUTSIDE}


def test_display_order_lists_every_class_once() -> None:
    assert sorted(DISPLAY_ORDER) == sorted(cell.code for cell in (*FINE, *OUTSIDE))
    assert [code for code in DISPLAY_ORDER if code in {cell.code for cell in FINE}] == [cell.code for cell in FINE]


@given(st.lists(st.floats(0, 1), min_size=11, max_size=11).filter(lambda p: sum(p) > 0))
def test_coarse_probabilities_are_sums_of_fine_ones(weights: list[float]) -> None:
    fine = np.array(weights) / sum(weights)
    coarse = fine @ coarse_matrix()
    assert coarse.sum() == pytest.approx(1)
    for index, cell in enumerate(COARSE):
        assert coarse[index] == pytest.approx(sum(fine[i] for i, f in enumerate(FINE) if f.coarse == cell.code))


def test_members_of_a_label() -> None:
    names = [cell.code for cell in FINE]
    assert [names[i] for i in fine_members("NEU")] == ["SNE", "BNE"]
    assert [names[i] for i in fine_members("IG")] == ["MMY", "MY", "PMY"]
    assert [names[i] for i in fine_members("EO")] == ["EO"]
    assert fine_members("BLAST") == ()
    with pytest.raises(SettingsError, match="XYZ"):
        fine_members("XYZ")


@pytest.mark.parametrize(
    ("source", "label", "code"),
    [
        ("pbc", "ig", "IG"),
        ("pbc", "SNE", "SNE"),
        ("cellavision", "4", "EO"),
        ("raabin", "Lymphocyte", "LY"),
        ("aml-munich", "NGB", "BNE"),
        ("aml-munich", "MYB", "MY"),  # Munich's MYB is the myelocyte …
        ("aml-munich", "MYO", "MYO"),  # … and MYO the myeloblast
        ("deepapl", "Giant thrombocyte", "GIANT_PLT"),
        ("bloodmnist", "3", "IG"),
        ("leukopy", " Segmented Neutrophil ", "SNE"),
    ],
)
def test_labels_of_public_sources(source: str, label: str, code: str) -> None:
    assert label_map(source).code(label, where="x.csv") == code


def test_munich_has_fifteen_codes_of_which_five_are_outside() -> None:
    codes = LABEL_MAPS["aml-munich"].codes
    assert len(codes) == 15
    outside = {cell.code for cell in OUTSIDE}
    assert sorted(label for label, code in codes.items() if code in outside) == ["ksc", "lya", "mob", "myo", "pmb"]


@pytest.mark.parametrize("source", list(LABEL_MAPS))
def test_every_map_leads_to_known_classes(source: str) -> None:
    for code in LABEL_MAPS[source].codes.values():
        assert find(code).code == code


def test_an_unknown_label_names_the_file_and_the_known_ones() -> None:
    with pytest.raises(UnknownLabelError, match=r"a/b\.csv, row 3: label 'blob' is unknown .*basophil.*neutrophil"):
        label_map("raabin").code("blob", where="a/b.csv, row 3")
