from __future__ import annotations

import pytest

from leukopy.slides.comparison import compare
from leukopy.slides.differential import differential


def test_limits_are_those_of_newcombes_paper() -> None:
    """Statistics in Medicine 17 (1998), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339."""
    first, second = differential({"LY": 48, "MO": 32}), differential({"LY": 56, "MO": 14})
    found = {each.code: each for each in compare(first, second)}["LY"]
    assert found.difference == pytest.approx(20.0)
    assert (found.low, found.high) == (pytest.approx(5.24, abs=0.005), pytest.approx(33.39, abs=0.005))
    assert found.apart


def test_the_order_of_the_slides_turns_the_sign() -> None:
    first, second = differential({"LY": 48, "MO": 32}), differential({"LY": 56, "MO": 14})
    there, back = compare(first, second), compare(second, first)
    for one, other in zip(there, back, strict=True):
        assert one.low == pytest.approx(-other.high)
        assert one.apart == other.apart


def test_a_slide_without_leukocytes_is_not_compared() -> None:
    assert compare(differential({}), differential({"LY": 5})) == ()
