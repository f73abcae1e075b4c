"""What the pages of patients say in words."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from leukopy.patients.inference.rows import FEATURE_SCHEMA, speak_most, weighed_most
from leukopy.patients.reports.patient import clinical_words, effect_words, page_name, percent


@pytest.mark.parametrize(
    ("age", "count", "said"),
    [
        (70.6, 12.345, "Age 71 years and lymphocytes 12.35 × 10⁹/L"),
        (None, 400, "Age unknown and lymphocytes 400 × 10⁹/L"),
        (3, None, "Age 3 years and count unknown"),
    ],
)
def test_clinical_numbers_in_words(age, count, said):
    assert clinical_words({"age": age, "lymphocytes": count}) == said


def test_effects_in_words():
    assert effect_words(math.log(2)) == "multiplies the odds of tumoral by 2"
    assert effect_words(-math.log(3)) == "divides the odds of tumoral by 3"
    assert effect_words(-0.01) == "changes next to nothing"


def test_percent_keeps_a_decimal_near_the_ends():
    assert [percent(share) for share in (0.004, 0.23, 0.996)] == ["0.4 %", "23 %", "99.6 %"]


def test_page_names_are_safe_and_differ():
    taken: set[str] = set()
    names = [page_name(patient, taken) for patient in ("P1", "p1", "../P1", "", "..", "x" * 300, "a b")]
    assert names == [
        "P1.html",
        "p1-2.html",
        "_P1.html",
        "patient.html",
        "patient-2.html",
        "x" * 100 + ".html",
        "a_b.html",
    ]


def test_the_weightiest_cells_of_each_side():
    influence = np.array([0.1, -0.3, 0.0, 0.5, 1e-7, -0.1, np.nan])
    assert weighed_most(influence, 2) == ([3, 0], [1, 5])
    assert weighed_most(influence, 1) == ([3], [1])
    assert weighed_most(np.array([np.nan]), 5) == ([], [])


def test_the_features_that_speak_most_for_each_side():
    effects = [0.1, -0.3, 0.0, 0.5, 1e-7, -0.1, None]
    rows = [("P1", f"feature {row}", 1.0, 0.0, 2.0, effect) for row, effect in enumerate(effects)]
    features = pl.DataFrame(rows, schema=FEATURE_SCHEMA, orient="row")
    tumoral, reactive = speak_most(features, 2)
    assert tumoral["feature"].to_list() == ["feature 3", "feature 0"]
    assert reactive["feature"].to_list() == ["feature 1", "feature 5"]
    assert [side["effect"].to_list() for side in speak_most(features, 1)] == [[0.5], [-0.3]]
