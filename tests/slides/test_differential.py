from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError
from leukopy.slides.differential import ReferenceRanges, differential
from leukopy.taxonomy import DISPLAY_ORDER, FINE, OUTSIDE, CellClass, Place, find

# A hand count of 200 leukocytes, with 6 erythroblasts and 80 platelets beside them.
COUNTED = {"SNE": 130, "BNE": 14, "EO": 10, "BA": 0, "LY": 30, "MO": 12, "MY": 4, "ERB": 6, "PLT": 80}


def _by_code(found):
    return {line.code: line for line in (*found.lines, *found.beside)}


def test_hand_counted_slide():
    found = differential(COUNTED, uncertain=3)
    lines = _by_code(found)
    assert (found.cells, found.leukocytes, found.uncertain) == (286, 200, 3)
    shares = {code: line.percent for code, line in lines.items()}
    assert shares == {
        "SNE": 65, "BNE": 7, "NEU": 72, "EO": 5, "BA": 0, "LY": 15, "MO": 6, "MMY": 0, "MY": 2, "PMY": 0, "IG": 2,
        "ERB": 3,
    }  # fmt: skip
    assert (round(lines["EO"].low, 1), round(lines["EO"].high, 1)) == (2.4, 9.0)  # Rümke: 10 of 200
    assert found.outside == {"PLT": 80}
    assert [note for note in found.notes if "3 of 286" in note]


def test_flags_tell_a_real_shift_from_sampling_error():
    lines = _by_code(differential(COUNTED))
    flags = {code: (line.flag, line.beyond_error) for code, line in lines.items() if line.flag}
    assert flags == {
        "NEU": ("H", True),  # 72 %, limits 65 to 78, range 40 to 60
        "EO": ("H", False),  # 5 %, limits 2.4 to 9.0, range 1 to 4
        "BA": ("L", False),  # 0 %, limits 0 to 1.8, range 0.5 to 1
        "LY": ("L", False),  # 15 %, limits 10.3 to 20.7, range 20 to 40
        "MO": ("N", False),
    }


def test_lines_come_in_display_order_with_each_sum_after_its_parts():
    codes = [line.code for line in differential(COUNTED).lines]
    assert codes == ["SNE", "BNE", "NEU", "EO", "BA", "LY", "MO", "MMY", "MY", "PMY", "IG"]


def test_erythroblasts_are_per_100_leukocytes_with_limits_of_a_ratio():
    (line,) = differential({"LY": 100, "ERB": 150}).beside
    assert line.percent == 150  # more than 100 is no error here
    # Exact limits of 150 of 250 as odds: R's binom.test(150, 250) gives 0.5364 to 0.6612.
    assert (line.low, line.high) == pytest.approx((100 * 0.5364 / 0.4636, 100 * 0.6612 / 0.3388), rel=2e-3)


def test_cells_outside_the_classes_appear_where_they_belong():
    found = differential({"LY": 80, "BLAST": 15, "NEU": 5, "SMUDGE": 4, "ARTEFACT": 2})
    lines = _by_code(found)
    assert found.leukocytes == 100
    assert lines["BLAST"].percent == 15
    assert lines["NEU"].percent == 5  # a neutrophil that nobody divided further
    assert lines["SMUDGE"].percent == 4
    assert found.outside == {"PLT": 0, "ARTEFACT": 2}
    assert [line.code for line in found.lines][-1] == "BLAST"


def test_expected_shares_are_of_the_expected_leukocytes():
    expected = {"SNE": 60.5, "BNE": 9.5, "LY": 30.0, "ERB": 2.0, "PLT": 20.0}
    lines = _by_code(differential({"SNE": 62, "BNE": 8, "LY": 30}, expected=expected))
    assert lines["SNE"].expected == pytest.approx(60.5)
    assert lines["NEU"].expected == pytest.approx(70)
    assert lines["ERB"].expected == pytest.approx(2)
    assert differential({"LY": 3}).lines[0].expected is None


def test_few_cells_are_said_to_be_few():
    assert "Only 99 leukocytes" in differential({"LY": 99}).notes[0]
    assert differential({"LY": 100}).notes == ()


def test_no_leukocyte_gives_no_percentage():
    found = differential({"PLT": 12, "ERB": 2})
    assert {line.percent for line in (*found.lines, *found.beside)} == {None}
    assert {line.flag for line in found.lines} == {None}
    assert "no differential" in found.notes[0]
    assert differential({}).cells == 0


def test_a_laboratory_puts_its_own_ranges(tmp_path):
    file = tmp_path / "ranges.yaml"
    file.write_text("name: Children\nranges:\n  LY: [40, 70]\n")
    ranges = ReferenceRanges.read(file)
    found = differential({"LY": 100, "SNE": 100}, ranges=ranges)
    lines = _by_code(found)
    assert found.reference_name == "Children"
    assert (lines["LY"].flag, lines["NEU"].flag) == ("N", None)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [({"LYM": [1, 2]}, "'LYM' is unknown"), ({"LY": [40, 20]}, "from a lower"), ({"LY": [0, 101]}, "0 to 100")],
)
def test_wrong_ranges_are_refused(ranges, message):
    with pytest.raises(SettingsError, match=message):
        ReferenceRanges.build({"ranges": ranges})


def test_unknown_code_is_refused():
    with pytest.raises(SettingsError, match="'XYZ'"):
        differential({"XYZ": 3})


_codes = st.lists(st.sampled_from([cell.code for cell in (*FINE, *OUTSIDE)]), max_size=300)


@given(_codes)
def test_the_hundred_per_cent_is_whole_and_every_limit_holds_its_share(codes):
    found = differential(Counter(codes))
    singles = [line for line in found.lines if not line.sums]
    leukocytes = sum(find(code).place is Place.DIFFERENTIAL for code in codes)
    assert found.leukocytes == leukocytes == sum(line.count for line in singles)
    assert found.cells == len(codes)
    assert sum(line.count for line in (*singles, *found.beside)) + sum(found.outside.values()) == len(codes)
    order = [DISPLAY_ORDER.index(line.code) for line in singles]
    assert order == sorted(order)
    if leukocytes:
        assert sum(line.percent for line in singles) == pytest.approx(100)
        for line in (*found.lines, *found.beside):
            assert 0 <= line.low <= line.percent <= line.high


def test_a_laboratorys_own_classes_come_last_in_their_place():
    hairy = CellClass("HAIRY", "hairy cell", "tricholeucocyte", None, Place.DIFFERENTIAL, "#336699")
    debris = CellClass("DEBRIS", "debris", "débris", None, Place.OUTSIDE, "#888888")
    found = differential({"LY": 8, "HAIRY": 2, "DEBRIS": 3, "BLAST": 10}, own=(hairy, debris))
    assert [line.code for line in found.lines][-2:] == ["BLAST", "HAIRY"]
    assert (found.leukocytes, _by_code(found)["HAIRY"].percent) == (20, 10)
    assert found.outside == {"PLT": 0, "DEBRIS": 3}
    assert "HAIRY" not in _by_code(differential({"LY": 8}, own=(hairy,)))  # listed only where counted
    with pytest.raises(SettingsError, match="HAIRY"):
        differential({"HAIRY": 1})


def test_an_own_class_never_replaces_one_of_the_taxonomy():
    false = CellClass("LY", "something else", "autre", None, Place.OUTSIDE, "#000000")
    assert _by_code(differential({"LY": 1}, own=(false,)))["LY"].name == "lymphocyte"
