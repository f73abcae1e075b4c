"""Model against reader, on tables whose kappa is known."""

from __future__ import annotations

import pytest

from leukopy.core.errors import SettingsError
from leukopy.review.agreement import Reading, agree
from leukopy.review.records import CellRow, ClassChoice

HAIRY = ClassChoice(
    code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#336699", key="h", place="differential", own=True
)


def table(case: str = "a", **counts: int) -> list[Reading]:
    """``SNE_LY=5``: five cells that the reader calls SNE and the model LY."""
    return [Reading(case, *pair.split("_")) for pair, count in counts.items() for _ in range(count)]


def test_cohens_own_example_of_a_table() -> None:
    # Observed .7; expected .5 * .6 + .5 * .4 = .5; kappa (.7 - .5) / (1 - .5) = .4.
    view = agree(table(SNE_SNE=20, SNE_LY=5, LY_SNE=10, LY_LY=15))
    assert (view.cases, view.cells) == (1, 50)
    assert (view.raw, view.kappa) == (pytest.approx(0.7), pytest.approx(0.4))
    # Clopper and Pearson: R's binom.test(35, 50) gives 0.5539 to 0.8214.
    assert (view.raw_low, view.raw_high) == (pytest.approx(0.5539, abs=1e-4), pytest.approx(0.8214, abs=1e-4))
    assert view.kappa_low is not None
    assert view.kappa_high is not None
    assert 0.1 < view.kappa_low < 0.25
    assert 0.55 < view.kappa_high < 0.7
    first, second = view.classes
    assert (first.code, first.reader, first.model, first.both) == ("SNE", 25, 30, 20)
    assert (first.recall, first.precision) == (pytest.approx(0.8), pytest.approx(20 / 30))
    assert (second.code, second.french) == ("LY", "lymphocyte")


def test_disagreements_most_frequent_first() -> None:
    view = agree(table(SNE_SNE=10, SNE_BNE=1, BLAST_LY=4, MMY_MY=2))
    assert view.confusion == (("BLAST", "LY", 4), ("MMY", "MY", 2), ("SNE", "BNE", 1))


def test_whole_cases_are_drawn_where_there_are_several() -> None:
    # All disagreement lies in one case of four: cells drawn one by one would hide how much that case matters.
    cases = [*table("a", SNE_LY=25), *table("b", LY_LY=25), *table("c", LY_LY=25), *table("d", SNE_SNE=25)]
    together = agree(cases)
    by_cell = agree([Reading("a", reader, model) for _, reader, model in cases])
    assert together.cases == 4
    assert together.raw == by_cell.raw == 0.75
    assert (together.raw_low, together.raw_high) == (0.25, 1.0)
    assert by_cell.raw_low is not None
    assert by_cell.raw_low > 0.6


def test_a_reader_who_does_not_divide_agrees_with_either_kind() -> None:
    view = agree(table(NEU_SNE=3, NEU_BNE=2, NEU_LY=1, IG_MY=1, LY_LY=3))
    assert view.raw == pytest.approx(0.9)
    assert view.confusion == (("NEU", "LY", 1),)


def test_classes_outside_the_model_and_of_the_laboratory() -> None:
    view = agree(table(HAIRY_LY=2, UNIDENTIFIED_SNE=1, LY_LY=7), [HAIRY])
    names = {one.code: (one.name, one.recall, one.precision) for one in view.classes}
    assert names["HAIRY"] == ("hairy cell", 0, None)
    assert names["UNIDENTIFIED"][0] == "unidentified"
    assert names["LY"][1:] == (1, pytest.approx(7 / 9))
    with pytest.raises(SettingsError, match="HAIRY"):
        agree(table(HAIRY_LY=1))


def test_nothing_to_compare() -> None:
    view = agree([])
    assert (view.cases, view.cells, view.raw, view.kappa, view.classes) == (0, 0, None, None, ())


def test_one_class_only_has_no_kappa() -> None:
    view = agree(table(LY_LY=40))
    assert (view.raw, view.kappa, view.kappa_low) == (1, None, None)
    assert view.raw_low == pytest.approx(0.9119, abs=1e-4)  # the rule of three's exact form: .025 ** (1 / 40)


def test_the_cells_of_a_case_are_read_as_they_stand() -> None:
    row = CellRow(id=1, name="a.png", code="BNE", model_code="SNE", confidence=0.6, version=2, changed_by="r")
    assert Reading.of("case", [row]) == [Reading("case", "BNE", "SNE")]
