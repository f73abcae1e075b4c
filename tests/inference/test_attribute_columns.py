"""Attributes become columns and words: of the cells that have them, and only where they are sure."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

import leukopy
from leukopy.bundle import open_bundle
from leukopy.inference.attribute_columns import attribute_columns, words
from leukopy.inference.rows import ATTRIBUTE_SCHEMA, CELL_SCHEMA, cell_schema
from leukopy.taxonomy import ATTRIBUTE_CLASSES, ATTRIBUTES, FINE


@pytest.fixture(scope="module")
def cells(judging_model, tmp_path_factory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("cells")
    paths = [judging_model.draw(folder / f"{cell.code}.png", cell.code) for cell in FINE]
    (folder / "broken.png").write_text("no picture")
    found = leukopy.load(str(judging_model.path)).predict([*paths, folder / "broken.png"])
    assert len(found.failures) == 1
    return found.cells


def test_rows_have_the_columns_of_attributes_after_the_others(cells, judging_model, colour_model) -> None:
    assert cells.schema == pl.Schema(CELL_SCHEMA | ATTRIBUTE_SCHEMA)
    assert cell_schema(open_bundle(judging_model.path).card) == CELL_SCHEMA | ATTRIBUTE_SCHEMA
    assert cell_schema(open_bundle(colour_model.path).card) == CELL_SCHEMA


def test_only_cells_whose_class_has_attributes_are_described(cells) -> None:
    described = cells.filter(pl.col("why").is_not_null())
    assert set(described["coarse"]) == set(ATTRIBUTE_CLASSES)
    others = cells.filter(~pl.col("coarse").is_in(ATTRIBUTE_CLASSES))
    assert set(others["coarse"]) == {"IG", "ERB", "PLT"}
    assert others.select(list(ATTRIBUTE_SCHEMA)).null_count().row(0) == (len(others),) * len(ATTRIBUTE_SCHEMA)


def test_values_probabilities_and_words_follow_the_network(cells) -> None:
    """By the test model's rule: green decides; little of it says the first value of every attribute, much the last."""
    greens = {"SNE": 30, "BNE": 30, "EO": 128, "BA": 128, "LY": 225, "MO": 225}
    for row in cells.filter(pl.col("why").is_not_null()).iter_rows(named=True):
        value = (greens[row["fine"]] - 127) / 128
        first = value < 0
        probability = 1 / (1 + math.exp(-16 * abs(value) / 2))  # logits 8 and -8 times green; temperature 2
        for attribute in ATTRIBUTES:
            assert row[f"attr_{attribute.name}"] == attribute.values[0 if first else -1]
            assert row[f"attr_{attribute.name}_p"] == pytest.approx(probability, abs=2e-3)
        few = "round nucleus, no granules, low nucleus-to-cytoplasm ratio, loose chromatin, clear light blue cytoplasm"
        much = "irregular nucleus, coarse purple granules, high nucleus-to-cytoplasm ratio, dense chromatin"
        said = {
            30: f"{few}, small round cell",
            128: "",  # too unsure
            225: f"{much}, frosted purple blue cytoplasm, vacuoles, big irregular cell",
        }
        assert row["why"] == said[greens[row["fine"]]]
        assert words(row) == (row["why"] or None)


def test_each_head_has_its_own_temperature_and_threshold(judging_model) -> None:
    attributes = open_bundle(judging_model.path).card.attributes
    assert attributes is not None
    quiet, *rest = attributes.heads
    heads = (quiet.model_copy(update={"temperature": 1.0, "min_confidence": 1.0}), *rest)
    logits = np.zeros((1, sum(len(head.values) for head in heads)), np.float32)
    logits[0, 1] = 3  # cell_size: big
    columns = attribute_columns(logits, np.array(["MO"]), attributes.model_copy(update={"heads": heads}))
    assert columns["attr_cell_size"] == ["big"]
    assert columns["attr_cell_size_p"][0] == pytest.approx(1 / (1 + math.exp(-3)))
    assert columns["why"] == [""]


def test_words_of_a_row_without_attributes() -> None:
    assert words({"cell_id": "a", "coarse": "LY"}) is None
    assert words({"why": None}) is None
