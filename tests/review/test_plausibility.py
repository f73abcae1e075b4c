"""Numbers that cannot be are refused; those that hardly can are doubted; ranges are those of age and sex."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from leukopy.core.errors import InputError, SettingsError
from leukopy.review.case_differential import count_case
from leukopy.review.case_notes import notes
from leukopy.review.plausibility import check, corrected_leukocytes, impossible
from leukopy.review.ranges import usual_ranges
from leukopy.review.records import Case, CaseDraft, CellRow, DifferentialLine, DifferentialView, Status
from leukopy.review.settings import ReviewSettings

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SETTINGS = ReviewSettings(folder=Path("unused"))


def case(**values: object) -> Case:
    return Case.model_validate({
        "slide": "S1", "id": "ab" * 16, "status": Status.DRAFT, "version": 1, "revision": 1, "owner": "reader",
        "created": NOW, "changed": NOW, "cells": 0, "failures": 0, "corrected": 0, **values,
    })  # fmt: skip


def cells(**counts: int) -> tuple[CellRow, ...]:
    codes = [code for code, count in counts.items() for _ in range(count)]
    return tuple(
        CellRow(id=number, name=f"c{number}.png", code=code, model_code=code, confidence=0.9, version=1)
        for number, code in enumerate(codes)
    )


def count(rows: Sequence[CellRow], **values: object) -> DifferentialView:
    return count_case(rows, (), case(**values), SETTINGS)


def by_code(view: DifferentialView) -> dict[str, DifferentialLine]:
    return {line.code: line for line in (*view.lines, *view.beside, *view.outside)}


def tomorrow() -> date:
    return datetime.now(UTC).date() + timedelta(days=2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"leukocytes": 7.4, "lymphocytes": 9.3}, "more than all leukocytes (7.4)"),
        ({"leukocytes": 7.4, "lymphocytes": 31}, "not in per cent"),
        ({"leukocytes": 1500}, "looks like cells/µL; enter 1.5"),
        ({"lymphocytes": 1500}, "looks like cells/µL; enter 1.5"),
        ({"leukocytes": 0.0074}, "too low"),
        ({"lymphocytes": 0.01}, "too low"),
        ({"specimen_date": tomorrow()}, "in the future"),
        ({"specimen_date": date(1899, 1, 1)}, "in the past"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(values, says):
    draft = CaseDraft.model_validate({"slide": "S1", **values})
    with pytest.raises(InputError) as refused:
        check(draft, values)
    assert says in str(refused.value)
    check(draft, {"comment"})  # an older case keeps its entries while something else is changed


@pytest.mark.parametrize(
    "values",
    [{}, {"leukocytes": 7.4, "lymphocytes": 2.1}, {"leukocytes": 480.0, "lymphocytes": 470.0}, {"leukocytes": 0.0},
     {"lymphocytes": 3.0}, {"leukocytes": 5.0, "lymphocytes": 5.0}, {"specimen_date": datetime.now(UTC).date()}],
    ids=str,
)  # fmt: skip
def test_what_can_be_is_taken(values):
    assert impossible(CaseDraft.model_validate({"slide": "S1", **values})) is None


@pytest.mark.parametrize(("entered", "doubted"), [(2.6, False), (6.9, True), (0.4, True)])
def test_lymphocytes_that_hardly_fit_the_count_are_doubted(entered, doubted):
    """26 of 100 leukocytes of 8.0: 2.08, with limits of 1.42 to 2.86."""
    view = count(cells(SNE=74, LY=26), leukocytes=8.0, lymphocytes=entered)
    assert any("hardly fit" in note for note in view.notes) is doubted
    assert view.lymphocytes == pytest.approx(2.08)


@pytest.mark.parametrize(
    ("leukocytes", "per_100", "corrected"), [(20.0, 100, 10.0), (10.0, 25, 8.0), (7.4, 0, 7.4), (14.0, 5, 13.33)]
)
def test_leukocytes_are_corrected_for_erythroblasts(leukocytes, per_100, corrected):
    assert corrected_leukocytes(leukocytes, per_100) == pytest.approx(corrected, abs=0.005)


def test_an_analyser_that_tells_erythroblasts_apart_is_not_corrected_twice():
    rows = cells(SNE=50, LY=50, ERB=25)
    assert count(rows, leukocytes=10.0).total.absolute == pytest.approx(8.0)
    view = count(rows, leukocytes=10.0, leukocytes_corrected=True)
    assert view.total.absolute == 10.0
    assert not any("corrected for" in note for note in view.notes)


def test_notes_of_a_signed_count_are_those_of_its_numbers():
    """A count that an older version signed without correction is not printed as corrected."""
    rows = cells(SNE=50, LY=50, ERB=25)
    told = " ".join(notes(case(leukocytes=10.0), rows, 100, "en", 10.0))
    assert "without any correction" in told
    assert "corrigés pour 25 érythroblastes" in " ".join(notes(case(leukocytes=10.0), rows, 100, "fr", 8.0))


def test_undivided_neutrophils_leave_their_parts_blank():
    lines = by_code(count(cells(NEU=60, LY=40), leukocytes=8.0))
    for code in ("SNE", "BNE"):
        line = lines[code]
        assert line.undivided
        assert (line.percent, line.low, line.high, line.absolute, line.flag) == (None,) * 5
    assert (lines["NEU"].count, lines["NEU"].percent, lines["NEU"].undivided) == (60, 60, False)
    assert not any(line.undivided for line in by_code(count(cells(SNE=60, LY=40))).values())
    assert lines["PMY"].percent == 0  # immature granulocytes were divided: there are none


@pytest.mark.parametrize(
    ("age", "lymphocytes", "leukocytes"),
    [(0.01, (2, 11), (9, 30)), (0.7, (4, 13.5), (6, 17.5)), (2, (3, 9.5), (6, 17)), (5, (2, 8), (5.5, 15.5)),
     (17, (1.2, 5.2), (4.5, 13)), (18, (1, 4.5), (4, 11)), (None, (1, 4.5), (4, 11))],
)  # fmt: skip
def test_a_child_has_the_ranges_of_its_age(age, lymphocytes, leukocytes):
    """A child of two with 7.0 lymphocytes is usual; an adult is not."""
    found = usual_ranges(case(age=age), SETTINGS)
    assert (found.absolute["LY"], found.absolute["WBC"]) == (lymphocytes, leukocytes)
    assert bool(found.relative.ranges) is (age is None or age >= 18)


def test_a_child_of_two_is_not_flagged_as_an_adult():
    rows = cells(SNE=30, LY=70)
    child, adult = (by_code(count(rows, age=age, leukocytes=10.0))["LY"] for age in (2, 40))
    assert (child.flag, child.absolute_flag) == (None, "N")
    assert (adult.flag, adult.absolute_flag) == ("H", "H")


def test_every_age_of_a_child_has_one_range_of_each_count():
    for month in range(18 * 12):
        found = usual_ranges(case(age=month / 12), SETTINGS).absolute
        assert set(found) == {"WBC", "NEU", "LY"}


def test_a_laboratory_edits_the_table(tmp_path):
    table = tmp_path / "ranges.csv"
    head = "code,quantity,sex,from_years,to_years,low,high,source\n"
    table.write_text(head + "LY,absolute,female,18,200,1.1,3.5,own study\nEO,percent,,0,18,1,6,own study\n")
    settings = ReviewSettings(folder=Path("unused"), ranges=table)
    woman, man, child = (
        usual_ranges(case(age=age, sex=sex), settings) for age, sex in ((40, "female"), (40, "male"), (4, None))
    )
    assert (woman.absolute["LY"], man.absolute["LY"]) == ((1.1, 3.5), (1.0, 4.5))
    assert child.relative.ranges == {"EO": (1, 6)}
    assert "own study" in child.relative.name
    assert child.absolute == {}


@pytest.mark.parametrize(
    "row", ["LY,absolute,,0,18,9,3,x", "LY,absolute,,0,18,1,3,", "LY,much,,0,18,1,3,x", "LY,absolute,,9,2,1,3,x"]
)
def test_a_wrong_row_of_the_table_is_named(tmp_path, row):
    table = tmp_path / "wrong.csv"
    table.write_text(f"code,quantity,sex,from_years,to_years,low,high,source\n{row}\n")
    with pytest.raises((InputError, SettingsError), match="line 2"):
        usual_ranges(case(age=2), ReviewSettings(folder=Path("unused"), ranges=table))


def test_a_table_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        usual_ranges(case(), ReviewSettings(folder=Path("unused"), ranges=tmp_path / "none.csv"))
