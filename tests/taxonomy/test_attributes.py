"""Attributes have an order of their own, and each value has its words."""

from __future__ import annotations

import pytest

from leukopy.taxonomy import ATTRIBUTE_CLASSES, ATTRIBUTES, COARSE, describe

NEUTROPHIL = {
    "cell_size": "big",
    "cell_shape": "round",
    "nucleus_shape": "segmented-multilobed",
    "nuclear_cytoplasmic_ratio": "low",
    "chromatin_density": "densely",
    "cytoplasm_vacuole": "no",
    "cytoplasm_texture": "clear",
    "cytoplasm_colour": "light blue",
    "granule_type": "small",
    "granule_colour": "pink",
    "granularity": "yes",
}


def test_there_are_eleven_of_mature_leukocytes() -> None:
    assert [attribute.name for attribute in ATTRIBUTES] == list(NEUTROPHIL)
    assert set(ATTRIBUTE_CLASSES) < {cell.code for cell in COARSE}
    assert not {"IG", "ERB", "PLT"} & set(ATTRIBUTE_CLASSES)
    for attribute in ATTRIBUTES:
        assert len(set(attribute.values)) == len(attribute.values) >= 2


def test_a_whole_cell_in_words() -> None:
    assert describe(NEUTROPHIL) == (
        "multi-lobed nucleus, small pink granules, low nucleus-to-cytoplasm ratio, dense chromatin, "
        "clear light blue cytoplasm, big round cell"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ""),
        ({"cytoplasm_vacuole": "no"}, ""),
        ({"cytoplasm_vacuole": "yes"}, "vacuoles"),
        ({"granularity": "no", "granule_type": "nil", "granule_colour": "nil"}, "no granules"),
        ({"granularity": "no", "granule_type": "small"}, "no granules"),
        ({"granularity": "yes", "granule_type": None, "granule_colour": None}, "granules"),
        ({"granularity": "yes", "granule_type": "nil", "granule_colour": "red"}, "red granules"),
        ({"granule_type": "nil", "granule_colour": "nil"}, ""),
        ({"granule_type": "coarse"}, "coarse granules"),
        ({"cell_shape": "irregular", "cell_size": None}, "irregular cell"),
    ],
)
def test_what_is_not_known_is_not_said(values: dict[str, str | None], words: str) -> None:
    assert describe(values) == words


def test_every_value_that_is_a_sight_is_said() -> None:
    """Only absences (``nil``; no vacuole) may pass in silence, and two values never share their words."""
    for attribute in ATTRIBUTES:
        said = [describe({attribute.name: value}) for value in attribute.values]
        silent = [value for value, words in zip(attribute.values, said, strict=True) if not words]
        assert silent in ([], ["nil"]) or (attribute.name, silent) == ("cytoplasm_vacuole", ["no"])
        assert len(set(said)) == len(said)
