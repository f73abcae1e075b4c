"""An audit counts what is there and names every contradiction."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.datasets import MANIFEST_SCHEMA, audit, count_classes, describe_duplicates, write_audit

ROWS = [
    # cell_id, source, code, group, split, width
    ("a/0", "a", "SNE", "slide 1", "train", 360),
    ("a/1", "a", "EO", "slide 1", "train", 360),
    ("a/2", "a", "NEU", "slide 2", "test", 360),
    ("a/3", "a", None, None, None, 366),
    ("b/0", "b", "EO", "slide 1", "train", 224),
    ("b/1", "b", "SMUDGE", "slide 9", "train", 224),
]
MANIFEST = pl.DataFrame(
    ROWS, schema=["cell_id", "source", "code", "group", "split", "width"], orient="row"
).with_columns(height=pl.col("width"))
MANIFEST = MANIFEST.with_columns(
    pl.lit(None).alias(name) for name in MANIFEST_SCHEMA if name not in MANIFEST.columns
).select(pl.col(name).cast(dtype) for name, dtype in MANIFEST_SCHEMA.items())


def pairs(*found: tuple[int, int, str]) -> pl.DataFrame:
    schema = {"a": pl.Int64(), "b": pl.Int64(), "kind": pl.String()}
    table = pl.DataFrame(list(found), schema=schema, orient="row").with_columns(similarity=pl.lit(1.0))
    return describe_duplicates(MANIFEST, table)


@pytest.mark.parametrize(
    ("a", "b", "two_labels", "across_splits", "across_groups"),
    [
        (0, 1, True, False, False),  # one slide, but no cell is a neutrophil and an eosinophil
        (0, 2, False, True, True),  # a segmented neutrophil is a neutrophil
        (1, 3, False, True, False),  # no label, no group
        (1, 4, False, False, True),  # two sources may both have a slide 1
        (4, 5, True, False, True),  # a class outside the taxonomy contradicts every other
    ],
)
def test_what_is_said_of_a_pair(a: int, b: int, two_labels: bool, across_splits: bool, across_groups: bool) -> None:
    (pair,) = pairs((a, b, "near")).rows(named=True)
    assert (pair["cell_id_a"], pair["cell_id_b"]) == (ROWS[a][0], ROWS[b][0])
    assert (pair["two_labels"], pair["across_splits"], pair["across_groups"]) == (
        two_labels,
        across_splits,
        across_groups,
    )


def test_contradictions_come_first() -> None:
    assert pairs((1, 4, "exact"), (0, 2, "exact"), (0, 1, "near"))["cell_id_b"].to_list() == ["a/1", "a/2", "b/0"]


def test_the_figures_add_up() -> None:
    found = pairs((0, 2, "exact"), (2, 3, "near"), (0, 3, "near"), (4, 5, "near"))
    result = audit(MANIFEST, ["truncated", "not_an_image", "truncated"], found)
    assert result.images == 6
    assert result.unreadable == {"truncated": 2, "not_an_image": 1}
    assert result.classes == {"a": {"NEU": 1, "SNE": 1, "EO": 1, "none": 1}, "b": {"EO": 1, "SMUDGE": 1}}
    assert list(result.classes["a"]) == ["NEU", "SNE", "EO", "none"], "in the order of a differential"
    assert result.sizes == {"a": {"360 x 360": 3, "366 x 366": 1}, "b": {"224 x 224": 2}}
    assert (result.exact_duplicates, result.near_duplicates, result.two_labels) == (1, 3, 1)
    assert result.distinct_cells == 3, "0, 2 and 3 are one cell, 4 and 5 another, and 1 is alone"


def test_splits_are_counted_where_there_are_any() -> None:
    assert count_classes(MANIFEST).columns == ["source", "code", "images", "train", "val", "test"]
    assert count_classes(MANIFEST.with_columns(split=pl.lit(None, pl.String))).columns == ["source", "code", "images"]


def test_an_audit_is_saved(tmp_path: Path) -> None:
    found = pairs((0, 2, "exact"))
    write_audit(tmp_path, audit(MANIFEST, [], found), found)
    saved = json.loads((tmp_path / "audit.json").read_text())
    assert saved["use"] == RESEARCH_USE_ONLY
    assert saved["distinct_cells"] == 5
    assert pl.read_csv(tmp_path / "duplicates.csv")["cell_id_a"].to_list() == ["a/0"]


def test_a_set_without_duplicates_is_audited_too() -> None:
    result = audit(MANIFEST, [], pairs())
    assert (result.distinct_cells, result.exact_duplicates, result.unreadable) == (6, 0, {})
