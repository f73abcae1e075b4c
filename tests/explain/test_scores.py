"""Averages of heat maps against literal means, and what is said of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import Bundle
from leukopy.explain.scores import (
    BASELINES,
    EXPLANATION_SCHEMA,
    Case,
    baseline,
    class_probability,
    figures,
    in_words,
    measure,
)


def table(**deletion: list[float]) -> pl.DataFrame:
    """Rows of some methods that differ in deletion; insertion is its complement, the shares are the same for all."""
    empty = dict.fromkeys(EXPLANATION_SCHEMA)
    rows = [
        {**empty, "method": name, "deletion": value, "insertion": 1 - value, "inside_cell": 0.5, "inside_nucleus": 0.25,
         "cell_area": 0.2, "nucleus_area": 0.1}
        for name, values in deletion.items()
        for value in values
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=EXPLANATION_SCHEMA)


def test_averages_and_gains_are_image_by_image() -> None:
    cam, centre, random = figures(table(cam=[0.1, 0.2, 0.3], centre=[0.2, 0.3, 0.4], random=[0.1, 0.3, 0.2]), {})
    assert (cam.method, cam.images, cam.deletion.value) == ("cam", 3, pytest.approx(0.2))
    falls, rises = cam.gains["centre"]
    assert (falls.value, falls.low, falls.high) == pytest.approx((0.1, 0.1, 0.1))  # each image by as much
    assert rises.value == pytest.approx(0.1)
    assert cam.gains["random"][0].value == pytest.approx(0)
    assert centre.gains == random.gains == {}
    assert cam.sanity is None


def test_what_is_said_follows_the_intervals() -> None:
    sanity = {"cam": np.array([0.1, -0.1, np.nan])}
    cam, centre, _ = figures(table(cam=[0.1, 0.2, 0.3], centre=[0.2, 0.3, 0.4], random=[0.0, 0.3, 0.25]), sanity)
    against_centre, against_chance, shares, weights = in_words(cam)
    assert "middle of the picture: deletion better (+0.100" in against_centre
    assert "chance: deletion not surely different" in against_chance
    assert shares == "50 % of the heat lies in the cell, which is 20 % of the picture; 25 % in the nucleus (10 %)."
    assert "random weights: 0.00 (-0.10 to 0.10)" in weights
    assert in_words(centre) == []


def test_what_was_not_measured_is_not_said() -> None:
    rows = table(cam=[0.1]).with_columns(pl.lit(None, pl.Float32).alias(name) for name in ("deletion", "inside_cell"))
    (cam,) = figures(rows, {})
    assert cam.deletion.value is None
    assert in_words(cam) == []


def test_no_rows_give_no_figures() -> None:
    assert figures(pl.DataFrame(schema=EXPLANATION_SCHEMA), {}) == []


def test_the_probability_is_the_calibrated_one(bundle: Bundle, quarter) -> None:
    from leukopy.inference import activations

    picture, _ = quarter("EO")
    logits = activations(bundle, picture[None], ["logits"])["logits"][0].astype(float) / 0.5  # the temperature
    literal = np.exp(logits) / np.exp(logits).sum()
    found = [class_probability(bundle, index)(picture[None])[0] for index in range(11)]
    assert found == pytest.approx(literal, abs=1e-5)


def test_a_platelet_has_a_cell_and_no_nucleus(bundle: Bundle, quarter) -> None:
    picture, mask = quarter("BA")
    none = np.zeros((32, 32), np.float32)
    heat = mask.astype(np.float32)
    found = measure(bundle, Case(picture, mask.astype(np.float32), none, 3), heat, 0)
    assert (found["inside_cell"], found["inside_nucleus"]) == (1, 0)
    assert (found["cell_area"], found["nucleus_area"]) == (0.25, 0)
    assert (found["deletion"], found["insertion"]) == (None, None)
    nothing = measure(bundle, Case(picture, none, none, 3), heat, 2)
    assert nothing["inside_cell"] is nothing["cell_area"] is None
    assert nothing["deletion"] is not None


def test_every_baseline_is_a_heat_map() -> None:
    for name in BASELINES:
        heat = baseline(name, 20, 4, seed=0)
        assert heat.shape == (20, 20)
        assert (heat.min(), heat.max()) == pytest.approx((0, 1))
