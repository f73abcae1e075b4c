"""Order of classes, fences and outliers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leukopy.explore.summaries import (
    ENOUGH,
    NO_LABEL,
    class_name,
    count_classes,
    count_sizes,
    in_order,
    outliers,
    spreads,
    to_level,
)
from leukopy.imaging.measures import named


def cells_of(values: dict[tuple[str, str], list[float | None]]) -> pl.DataFrame:
    rows = [
        (f"{source}/{code}{number}", code, source, value, 50.0)
        for (code, source), group in values.items()
        for number, value in enumerate(group)
    ]
    schema = {
        "cell_id": pl.String,
        "class": pl.String,
        "source": pl.String,
        "luminance": pl.Float32,
        "brightness": pl.Float32,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_coarse_classes_stand_before_their_members_and_unlabelled_cells_last() -> None:
    codes = [NO_LABEL, "PLT", "MY", "IG", "BNE", "BLAST", "NEU", "SNE", "MMY"]
    assert in_order(codes) == ["NEU", "SNE", "BNE", "IG", "MMY", "MY", "BLAST", "PLT", NO_LABEL]


def test_levels() -> None:
    assert [to_level(code, "coarse") for code in ("SNE", "NEU", "PMY", "LY", "BLAST", None)] == [
        "NEU", "NEU", "IG", "LY", "BLAST", NO_LABEL,
    ]  # fmt: skip
    assert [to_level(code, "fine") for code in ("SNE", "NEU", None)] == ["SNE", "NEU", NO_LABEL]
    assert class_name("SNE") == "segmented neutrophil"


def test_quartiles_and_fences_are_those_of_numpy_and_tukey() -> None:
    values = np.random.default_rng(1).normal(50, 5, 41).astype(np.float32)
    values[7] = 99
    cells = cells_of({("LY", "one"): values.tolist()})
    row = spreads(cells, named(["luminance"])).row(0, named=True)
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    assert (row["q1"], row["median"], row["q3"]) == pytest.approx((q1, median, q3), rel=1e-5)
    assert (row["low"], row["high"]) == pytest.approx((q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)), rel=1e-5)
    inside = values[(values >= row["low"]) & (values <= row["high"])]
    assert (row["whisker_low"], row["whisker_high"]) == pytest.approx((inside.min(), inside.max()), rel=1e-6)


def test_an_outlier_is_one_of_its_own_class_and_source() -> None:
    usual = [50.0, 51, 52, 53, 54, 55, 56, 57]
    cells = cells_of({
        ("LY", "bright lab"): [*usual, 20.0],
        ("LY", "dark lab"): [value - 30 for value in usual],  # 20 to 27: usual there
        ("MO", "bright lab"): [*usual, 90.0],
    })  # fmt: skip
    spread = spreads(cells, named(["luminance", "brightness"]))
    found = outliers(cells, spread, ["luminance", "brightness"])
    assert found.select("cell_id", "feature", "side").rows() == [
        ("bright lab/LY8", "luminance", "low"),
        ("bright lab/MO8", "luminance", "high"),
    ]
    assert cells["cell_id"].gather(found["row"]).to_list() == found["cell_id"].to_list()
    assert found["distance"].min() > 0


def test_few_cells_have_no_fences() -> None:
    few = [50.0] * (ENOUGH - 2) + [5.0]
    cells = cells_of({("LY", "one"): few, ("MO", "one"): [50.0, None]})
    spread = spreads(cells, named(["luminance"]))
    assert spread["low"].is_null().all()
    assert spread.select("class", "cells", "unmeasured", "whisker_low").rows() == [
        ("LY", 7, 0, 5.0),
        ("MO", 1, 1, 50.0),
    ]
    assert outliers(cells, spread, ["luminance"]).is_empty()


def test_counts() -> None:
    cells = pl.DataFrame({
        "source": ["a", "b", "a", "a"], "code": ["LY", "NEU", None, "LY"],
        "width": [30, 30, 30, 20], "height": [30, 40, 30, 20],
    })  # fmt: skip
    assert count_classes(cells).rows() == [
        ("b", "NEU", 1, "neutrophil"), ("a", "LY", 2, "lymphocyte"), ("a", NO_LABEL, 1, NO_LABEL),
    ]  # fmt: skip
    assert count_sizes(cells).rows() == [("a", 30, 30, 2), ("a", 20, 20, 1), ("b", 30, 40, 1)]
