"""The count of a case, against numbers computed by hand and against Rümke's table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.review.case_differential import count_case
from leukopy.review.records import Case, CellRow, ClassChoice, DifferentialLine, DifferentialView, Status
from leukopy.review.settings import ReviewSettings
from leukopy.taxonomy import DISPLAY_ORDER, Place, find

SETTINGS = ReviewSettings(folder=Path("unused"))
HAIRY = ClassChoice(
    code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#336699", key="h", place="differential", own=True
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def case(**values: object) -> Case:
    return Case.model_validate({
        "slide": "S1", "id": "ab" * 16, "status": Status.DRAFT, "version": 1, "revision": 1, "owner": "reader",
        "created": NOW, "changed": NOW, "cells": 0, "failures": 0, "corrected": 0, **values,
    })  # fmt: skip


def cells(**counts: int) -> tuple[CellRow, ...]:
    codes = [code for code, count in counts.items() for _ in range(count)]
    return tuple(
        CellRow(id=number, name=f"c{number}.png", code=code, model_code="SNE", confidence=0.9, version=1)
        for number, code in enumerate(codes)
    )


def count(rows: Sequence[CellRow], classes: Sequence[ClassChoice] = (), **values: object) -> DifferentialView:
    return count_case(rows, classes, case(**values), SETTINGS)


def by_code(view: DifferentialView) -> dict[str, DifferentialLine]:
    return {line.code: line for line in (*view.lines, *view.beside, *view.outside)}


@pytest.mark.parametrize(
    ("found", "of", "low", "high"), [(5, 100, 1.6, 11.3), (10, 200, 2.4, 9.0), (50, 100, 39.8, 60.2)]
)
def test_limits_are_those_of_rumke(found: int, of: int, low: float, high: float) -> None:
    line = by_code(count(cells(LY=of - found, EO=found)))["EO"]
    assert (round(line.low or 0, 1), round(line.high or 0, 1)) == (low, high)
    assert line.percent == 100 * found / of


def test_a_slide_counted_by_hand() -> None:
    view = count(cells(SNE=60, BNE=4, LY=26, MO=6, EO=4, ERB=5, SMUDGE=2, PLT=30, ARTEFACT=1), leukocytes=12.0)
    lines = by_code(view)
    assert (view.cells, view.leukocytes) == (138, 100)
    assert (lines["NEU"].count, lines["NEU"].percent, lines["NEU"].sums) == (64, 64, ("SNE", "BNE"))
    assert (lines["ERB"].percent, lines["SMUDGE"].percent) == (5, 2)  # per 100 leukocytes, beside the 100 %
    assert [(line.code, line.count, line.percent) for line in view.outside] == [
        ("PLT", 30, None), ("ARTEFACT", 1, None),
    ]  # fmt: skip
    # 12.0 x 10^9/L with 5 erythroblasts per 100 leukocytes: 12.0 x 100 / 105 = 11.43 leukocytes; 64 % of them: 7.31.
    assert lines["NEU"].absolute == pytest.approx(7.68 / 1.05)
    assert (lines["NEU"].absolute_reference, lines["NEU"].absolute_flag) == ((2.0, 7.5), "N")
    assert lines["LY"].absolute == pytest.approx(3.12 / 1.05)
    assert lines["LY"].absolute_flag == "N"
    assert lines["ERB"].absolute == pytest.approx(0.6 / 1.05)
    assert (lines["NEU"].flag, lines["EO"].flag, lines["BA"].flag) == ("H", "N", "L")
    assert view.total is not None
    assert (view.total.absolute, view.total.absolute_flag) == (pytest.approx(12.0 / 1.05), "H")
    assert any("12, corrected for 5 erythroblasts per 100 leukocytes" in note for note in view.notes)
    assert (lines["NEU"].name, lines["NEU"].french) == ("neutrophil", "neutrophile")


def test_without_a_leukocyte_count_nothing_is_absolute() -> None:
    view = count(cells(SNE=3, ERB=1))
    assert view.total is None
    assert not [line for line in by_code(view).values() if line.absolute is not None or line.absolute_flag]
    assert not [note for note in view.notes if "Absolute" in note]


def test_a_note_tells_that_the_class_means_were_re_estimated() -> None:
    found = {"distance": 0.9, "nearest": "PBC", "cells": 100, "unlike_training": False, "cells_used": 57}
    (own, *others) = count(cells(LY=100), slide_check=found).notes
    assert "re-estimated from 57 cells of this slide" in own
    assert tuple(others) == count(cells(LY=100)).notes
    french = count_case(cells(LY=100), (), case(slide_check=found), SETTINGS, "fr").notes
    assert "à partir de 57 cellules" in french[0]


def test_the_first_note_tells_that_the_slide_is_unlike_the_training_data() -> None:
    found = {"distance": 3.14, "nearest": "PBC", "cells": 100, "unlike_training": True}
    known = count(cells(LY=100)).notes
    assert count(cells(LY=100), slide_check=found | {"distance": 0.9, "unlike_training": False}).notes == known
    assert count(cells(LY=100), slide_check=found).notes == (
        "Stain or scanner unlike the training data: distance 3.1 (usually below 1), nearest laboratory PBC. "
        "Expect lower accuracy.",
        *known,
    )
    french = count_case(cells(LY=100), (), case(slide_check=found), SETTINGS, "fr").notes
    assert french[0].startswith("Coloration ou scanner")
    assert "distance 3,1" in french[0]


def test_notes_say_how_far_the_count_is_and_what_it_does_not_hold() -> None:
    rows = cells(SNE=70, NEU=2, UNIDENTIFIED=3)
    unsure = tuple(row.model_copy(update={"flags": ("uncertain",)}) for row in rows[:4])
    remarked = unsure[1].model_copy(update={"changed_by": "reader"})
    seen = (unsure[0].model_copy(update={"seen_by": "reader"}), remarked, *unsure[2:], *rows[4:])
    view = count(seen, leukocytes=7.25)
    assert view.notes == (
        "72 of 100 leukocytes counted.",
        "Neutrophils not divided into segmented and band, counted in their sum only: 2.",
        "Unidentified cells, not counted: 3.",
        "Uncertain cells that keep the model’s class: 4, of which a reader confirmed 1.",
        "Absolute counts are shares of the leukocytes entered, 7.25 × 10⁹/L, without any correction (none for "
        "erythroblasts).",
    )
    french = count_case(seen, (), case(leukocytes=7.25), SETTINGS, "fr").notes
    assert len(french) == len(view.notes)
    assert "72 leucocytes comptés sur 100" in french[0]
    assert "7,25 × 10⁹/L" in french[-1]


def test_an_undivided_neutrophil_is_in_the_sum_and_in_no_part() -> None:
    lines = by_code(count(cells(SNE=6, BNE=2, NEU=2)))
    assert (lines["SNE"].count, lines["BNE"].count, lines["NEU"].count) == (6, 2, 10)


@pytest.mark.parametrize("target", [100, 200])
def test_a_target_that_is_reached_is_said(target: int) -> None:
    assert count(cells(LY=target), target=target).notes == (
        f"{target} leukocytes counted; the target is {target}.",
    )  # fmt: skip


def test_no_leukocyte_no_percentage() -> None:
    view = count(cells(PLT=5), leukocytes=3.0)
    assert view.notes == ("No leukocyte was counted: there is no differential.",)
    assert {(line.percent, line.absolute) for line in view.lines} == {(None, None)}


@pytest.mark.parametrize(
    ("place", "where"), [("differential", "lines"), ("per_100_leukocytes", "beside"), ("outside", "outside")]
)
def test_a_class_of_the_laboratory_counts_where_it_says(place: str, where: str) -> None:
    own = HAIRY.model_copy(update={"place": place})
    view = count(cells(LY=9, HAIRY=1), [own])
    line = getattr(view, where)[-1]
    assert (line.code, line.name, line.french, line.count) == ("HAIRY", "hairy cell", "tricholeucocyte", 1)
    assert view.leukocytes == (10 if place == "differential" else 9)


def test_a_class_nobody_defined_is_refused() -> None:
    with pytest.raises(SettingsError, match="'HAIRY' is unknown"):
        count(cells(HAIRY=1))


def test_the_laboratory_has_ranges_of_its_own() -> None:
    settings = ReviewSettings(
        folder=Path("unused"), reference={"name": "Children", "ranges": {"LY": (40, 70)}}, absolute={"LY": (2.0, 8.0)}
    )
    view = count_case(cells(LY=30, SNE=70), (), case(leukocytes=5.0), settings)
    line = by_code(view)["LY"]
    assert view.reference_name == "Children"
    assert (line.reference, line.flag, line.absolute_flag) == ((40, 70), "L", "L")
    assert by_code(view)["NEU"].flag is None


@given(st.dictionaries(st.sampled_from(DISPLAY_ORDER), st.integers(1, 300), max_size=8))
def test_every_cell_is_counted_once(counts: dict[str, int]) -> None:
    view = count(cells(**counts))
    plain = [line for line in (*view.lines, *view.beside, *view.outside) if not line.sums]
    assert sum(line.count for line in plain) == view.cells
    assert view.cells + sum(line.count for line in view.not_counted) == sum(counts.values())
    assert view.leukocytes == sum(n for code, n in counts.items() if find(code).place is Place.DIFFERENTIAL)
    if view.leukocytes:
        assert sum(line.percent or 0 for line in view.lines if not line.sums) == pytest.approx(100)


def test_ten_times_the_cells_need_as_many_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count follows each key press, in a case of any size."""
    computed: list[int] = []

    def noted(count: int, total: int) -> tuple[float, float]:
        computed.append(total)
        return clopper_pearson(count, total)

    monkeypatch.setattr("leukopy.slides.differential.clopper_pearson", noted)
    count(cells(SNE=26, LY=14, MO=4, EO=2, ERB=1, PLT=3))
    few = len(computed)
    count(cells(SNE=260, LY=140, MO=40, EO=20, ERB=10, PLT=30))
    assert len(computed) == 2 * few
    assert few < 20


@pytest.mark.parametrize(
    ("code", "flags", "reason"),
    [
        ("LY", (), None),
        ("LY", ("uncertain", "not_square"), None),
        ("UNIDENTIFIED", ("unidentified",), "unidentified"),
        ("LY", ("unidentified",), None),  # a reader gave it a class
        (None, ("no_cell",), "no_cell"),
        (None, ("several_cells", "low_resolution"), "several_cells"),
        ("LY", ("no_cell",), None),
        ("LY", ("duplicate",), "duplicate"),
        ("UNIDENTIFIED", ("unidentified", "duplicate"), "duplicate"),
        (None, ("no_cell", "duplicate"), "duplicate"),
        ("LY", ("no_cell", "duplicate"), "duplicate"),
    ],
)
def test_the_counting_rule(code: str | None, flags: tuple[str, ...], reason: str | None) -> None:
    row = CellRow(id=1, name="c.png", code=code, model_code=code, confidence=None, flags=flags, version=1)
    assert row.not_counted == reason
    view = count([row])
    counted = [line.code for line in (*view.lines, *view.beside, *view.outside) if line.count and not line.sums]
    assert (view.cells, counted) == ((0, []) if reason else (1, [code]))
    assert [(line.code.lower(), line.count) for line in view.not_counted] == ([(reason, 1)] if reason else [])


def test_cells_that_are_not_counted_are_named_with_their_number_and_change_no_count() -> None:
    counted = cells(SNE=60, LY=30, PLT=4)
    apart = [
        CellRow(id=1000 + number, name="x.png", code=code, model_code=code, confidence=None, flags=flags, version=1)
        for number, (code, flags) in enumerate(
            [(None, ("no_cell",))] * 5 + [(None, ("several_cells",))] * 4 + [("SNE", ("duplicate", "uncertain"))] * 3
            + [("UNIDENTIFIED", ("unidentified",))] * 2
        )
    ]  # fmt: skip
    plain, view = count(counted), count([*counted, *apart])
    assert view.model_copy(update={"notes": (), "not_counted": ()}) == plain.model_copy(update={"notes": ()})
    assert [(line.code, line.french, line.count, line.percent) for line in view.not_counted] == [
        ("UNIDENTIFIED", "non identifiée", 2, None),
        ("NO_CELL", "sans cellule", 5, None),
        ("SEVERAL_CELLS", "plusieurs cellules", 4, None),
        ("DUPLICATE", "doublon", 3, None),
    ]
    assert view.notes == (
        *plain.notes,
        "Unidentified cells, not counted: 2.",
        "Images without a cell, not counted: 5.",
        "Images of several cells, not counted: 4.",
        "Duplicate images, not counted: 3.",
    )
    french = count_case([*counted, *apart], (), case(), SETTINGS, "fr").notes
    assert "Images sans cellule, non comptées\u202f: 5." in french


def test_blasts_are_told_first() -> None:
    view = count(cells(SNE=90, BLAST=8, MOB=2), leukocytes=5.0)
    assert view.notes[0] == "Blasts: 10 of 100 leukocytes. Look at these cells first."
    french = count_case(cells(SNE=90, BLAST=10), (), case(), SETTINGS, "fr")
    assert french.notes[0] == "Blastes\u202f: 10 sur 100 leucocytes. Examiner ces cellules en premier."
    assert not any("Blast" in note for note in count(cells(SNE=100)).notes)
