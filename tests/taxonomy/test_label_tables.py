"""Label maps as tables of the user's, and classes of a laboratory's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from leukopy.core.errors import ManifestError, SettingsError, UnknownLabelError
from leukopy.taxonomy import (
    COARSE,
    FINE,
    OUTSIDE,
    CellClass,
    Place,
    declare,
    display_order,
    find,
    label_map,
    open_label_map,
    outside_classes,
    read_label_table,
)

BASE = label_map("leukopy")


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("cell", [*FINE, *COARSE, *OUTSIDE], ids=lambda cell: cell.code)
def test_leukopys_own_names_are_read_in_both_languages(cell: CellClass) -> None:
    spellings = (cell.code.lower(), cell.name, f"{cell.name}s".upper(), cell.french, cell.french.replace(" ", "_"))
    assert {BASE.code(label, where="x") for label in spellings} == {cell.code}


def test_accents_capitals_and_plurals_do_not_matter() -> None:
    for label in ("Éosinophile", "eosinophile", "ÉOSINOPHILES", " eosinophiles "):
        assert BASE.code(label, where="x") == "EO"
    assert BASE.code("neutrophiles_segmentés", where="x") == "SNE"


def test_a_table_reads_labels_of_any_language_beside_leukopys(tmp_path: Path) -> None:
    found = read_label_table(table(tmp_path, "Label;Code\nリンパ球;LY\nSeg;segmented neutrophil\nstab;bne\n"), BASE)
    labels = {"リンパ球": "LY", "SEG": "SNE", "stab": "BNE", "monocyte": "MO"}
    assert {label: found.code(label, where="x") for label in labels} == labels
    assert found.own == ()


def test_a_code_with_a_name_is_a_class_of_ones_own(tmp_path: Path) -> None:
    rows = "label,code,name,french,place,colour\nhcl,Velu,hairy-like cell,cellule chevelue,,#0A0B0C\nvelue,VELU,,,,\n"
    found = read_label_table(table(tmp_path, rows), BASE)
    cell = CellClass("VELU", "hairy-like cell", "cellule chevelue", None, Place.DIFFERENTIAL, "#0a0b0c")
    assert found.own == (cell,)
    assert find("VELU") == cell
    assert cell in outside_classes()
    assert "VELU" in display_order()
    for label in ("HCL", "velue", "hairy-like cell", "cellules chevelues", "velu"):
        assert found.code(label, where="x") == "VELU"
    with pytest.raises(UnknownLabelError):
        BASE.code("hcl", where="x")


def test_a_class_is_defined_once(tmp_path: Path) -> None:
    cell = CellClass("TWICE", "twice", "twice", None, Place.OUTSIDE, "#000000")
    declare([cell])
    declare([cell, CellClass("TWICE", "twice", "deux fois", None, Place.OUTSIDE, "#ffffff")])
    assert find("TWICE") == cell  # the first definition stays
    with pytest.raises(SettingsError, match="'TWICE' stands for 'twice'"):
        declare([CellClass("TWICE", "other", "other", None, Place.OUTSIDE, "#000000")])
    with pytest.raises(SettingsError, match="'LY' stands for 'lymphocyte'"):
        declare([CellClass("LY", "my lymphocyte", "x", None, Place.OUTSIDE, "#000000")])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("label,code\nx,LYY\n", "line 2: code 'LYY' is no class of leukopy. Correct it, or give it a name"),
        ("label,code\nx,\n", "line 2: needs a label and a code"),
        ("label,code\nx,LY\nX,MO\n", r"line 3: its label has another code above \(LY\)"),
        ("label,code,name\nx,NEW1,new\ny,NEW1,newer\n", "line 3: defines class NEW1 a second time"),
        ("label,code,name\nx,NEW-1,new\n", "code 'NEW-1' has other characters"),
        ("label,code,name\nx,NEW2,lymphocyte\n", "'lymphocyte' is class LY of leukopy"),
        ("label,code,name,place\nx,NEW3,new,blood\n", "place 'blood' is none of differential"),
        ("label,code,name,colour\nx,NEW4,new,red\n", "colour 'red' is not written as"),
        ("name,code\nx,LY\n", "label"),
    ],
)
def test_a_wrong_table_names_the_line(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message):
        read_label_table(table(tmp_path, rows), BASE)


def test_a_map_is_named_or_lies_in_a_file(tmp_path: Path) -> None:
    assert open_label_map("raabin", BASE) is label_map("raabin")
    with pytest.raises(SettingsError, match=r"no such map and no such file; known maps: .*pbc"):
        open_label_map(str(tmp_path / "none.csv"), BASE)
