"""Tables as people make them: read as a careful person reads them, or refused by their line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import polars as pl
import pytest

from leukopy.core.errors import InputError, LeukopyError, ManifestError, UnknownLabelError
from leukopy.datasets import open_dataset, read_manifest, read_second_labels
from leukopy.inference.inputs import list_inputs
from leukopy.patients.data.cohort import Cohort, open_cohort

NFC, NFD = "M\u00fcller", "Mu\u0308ller"


def put(path: Path, content: str | bytes = b"", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def manifest(folder: Path, content: str | bytes, encoding: str = "utf-8") -> pl.DataFrame:
    return read_manifest(put(folder / "m.csv", content, encoding))


def cohort(folder: Path, content: str | bytes, ids: tuple[str, ...] = ("A", "B"), encoding: str = "utf-8") -> Cohort:
    for each in ids:
        put(folder / each / "1.png")
    put(folder / "patients.csv", content, encoding)
    return open_cohort(folder)


def told(cohort: Cohort) -> list[tuple[str | None, str]]:
    return cohort.problems.select("patient_id", "reason").rows()


LABELS = "path;label;group\na.png;LY;Müller\nb.png;;007\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (LABELS, "utf-8"), (LABELS, "utf-8-sig"), (LABELS, "utf-16"), (LABELS, "cp1252"),
        (LABELS.replace(";", ","), "utf-8"), (LABELS.replace(";", "\t"), "utf-16"),
        (f"sep=;\r\n{LABELS}", "utf-8"), (LABELS.replace("\n", ";;\n") + ";;;;\n\n;;\n", "utf-8"),
        (LABELS.replace("path;label;group", " Path ;LABEL;Group "), "utf-8"),
    ],
)  # fmt: skip
def test_a_manifest_in_any_dress(tmp_path: Path, content: str, encoding: str) -> None:
    found = manifest(tmp_path, content, encoding)
    assert found.select("path", "code", "group").rows() == [
        (f"{tmp_path}/a.png", "LY", "Müller"),
        (f"{tmp_path}/b.png", None, "007"),
    ]
    assert [cell.path for cell in list_inputs(tmp_path / "m.csv").cells] == found["path"].to_list()


COUNTS = "patient_id;age;lymphocytes\nA;45;8,2\nB;67;30,1\n"


@pytest.mark.parametrize(
    "content",
    [
        COUNTS, f"sep=;\r\n{COUNTS}", COUNTS.replace("\n", ";;;\n") + ";;;;;\n\n", f"\n\n{COUNTS}",
        COUNTS.replace("patient_id", "Patient ID").replace("age", " AGE "),
        COUNTS.replace(",", ".").replace(";", ","), COUNTS.replace(";", "\t").replace(",", "."),
        COUNTS.replace("A;45;8,2", 'A;"45";"8,2"'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_of_patients_in_any_dress(tmp_path: Path, content: str, encoding: str) -> None:
    found = cohort(tmp_path, content, encoding=encoding)
    assert found.patients.select("patient_id", "age", "lymphocytes").rows() == [("A", 45.0, 8.2), ("B", 67.0, 30.1)]
    assert found.problems.is_empty()


@pytest.mark.parametrize("header", ["id;label;gender;dob;lymph_count", "ID ; LABEL;Gender;DOB;Lymph Count"])
def test_the_challenge_in_another_dress(tmp_path: Path, header: str) -> None:
    text = f"sep=;\n{header};;\nA;1;M;3/28/1950;4,5;;\n\nB;-1;f;28-03-1950;12,25;;\n;;;;;;\n"
    found = cohort(tmp_path, text, encoding="utf-16")
    assert found.name == "lymphocytosis"
    assert found.patients.select("label", "lymphocytes", "gender").rows() == [(1, 4.5, "M"), (None, 12.25, "F")]
    assert found.patients["age"].n_unique() == 1
    assert found.problems.is_empty()


@pytest.mark.parametrize("name", ["NA", "null", "None", "NaN", "n/a"])
def test_an_id_may_be_a_word_for_missing(tmp_path: Path, name: str) -> None:
    if name != "n/a":  # no name of a folder
        found = cohort(tmp_path / "ward", f"patient_id,age,lymphocytes\n{name},45,8.2\nB,NA,30\n", (name, "B"))
        assert sorted(found.patients["patient_id"]) == sorted([name, "B"])
        assert told(found) == [("B", "missing_age")], "where a number is expected, the word says that it is missing"
    cells = put(tmp_path / "cells.csv", f"patient_id,path\n{name},NA\n")
    table = put(tmp_path / "p.csv", f"patient_id,age,lymphocytes\n{name},45,8.2\n")
    assert open_cohort(table, cells=cells).cells["path"].to_list() == [f"{tmp_path}/NA"]
    found_rows = manifest(tmp_path, f"path,cell_id,group,source\na.png,{name},{name},{name}\n")
    assert found_rows.select("cell_id", "group", "source").row(0) == (name, name, name)


@pytest.mark.parametrize("label", ["NA", "null", "none"])
def test_a_label_that_is_a_word_for_missing_is_a_label(tmp_path: Path, label: str) -> None:
    with pytest.raises(UnknownLabelError, match=rf"m.csv, line 2: label '{label}' is unknown.*leave it empty"):
        manifest(tmp_path, f"path,label\na.png,{label}\n")


@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("table", [NFC, NFD])
def test_letters_composed_or_not(tmp_path: Path, disk: str, table: str) -> None:
    picture = put(tmp_path / "cells" / f"{disk}.png")
    assert manifest(tmp_path / "cells", f"path\n{table}.png\n")["path"].to_list() == [str(picture)]
    assert list_inputs(put(tmp_path / "cells" / "l.txt", f"{table}.png\n")).cells[0].path == str(picture)
    put(tmp_path / "cells" / "labels.csv", f"file,label\n{table}.png,neutrophil\n")
    assert open_dataset("chula", tmp_path / "cells")["path"].to_list() == [str(picture)]
    found = cohort(tmp_path / "ward", f"patient_id,age,lymphocytes\n{table},45,8.2\nB,67,30\n", (disk, "B"))
    assert found.patients["patient_id"].to_list() == ["B", NFC]
    assert Path(found.cells["path"][1]).exists()
    assert found.problems.is_empty()


def test_two_folders_of_one_patient_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"patient {NFC} has images in .* and in .*Keep one folder"):
        cohort(tmp_path, f"patient_id\n{NFC}\n", (NFC, NFD))


SPELLINGS = ["a.png", "./a.png", "x/../a.png", ".\\a.png", "{folder}/a.png"]


@pytest.mark.parametrize("again", SPELLINGS)
def test_an_image_listed_twice_is_refused_with_both_lines(tmp_path: Path, again: str) -> None:
    again = again.format(folder=tmp_path)
    with pytest.raises(ManifestError, match=r"m.csv, line 5: its image is on line 2 too\. Keep one"):
        manifest(tmp_path, f"path,label\na.png,LY\n\nb.png,LY\n{again},LY\n")
    with pytest.raises(ManifestError, match=r"line 3: its image is on line 2 too with another label \(LY and MO\)"):
        manifest(tmp_path, f"path,label\na.png,LY\n{again},MO\n")
    with pytest.raises(ManifestError, match=r"line 3: its image is on line 2 too"):
        manifest(tmp_path, f"path,cell_id\na.png,1\n{again},2\n")
    with pytest.raises(InputError, match=r"l.txt, line 3: .* is already on line 1"):
        list_inputs(put(tmp_path / "l.txt", f"a.png\nb.png\n{again}\n"))
    table = put(tmp_path / "p.csv", "patient_id,age,lymphocytes\nA,1,2\n")
    with pytest.raises(ManifestError, match=r"c.csv, line 3: its image is on line 2 too"):
        open_cohort(table, cells=put(tmp_path / "c.csv", f"patient_id,path\nA,a.png\nA,{again}\n"))


@pytest.mark.parametrize("form", [NFC, NFD])
def test_an_image_listed_in_two_compositions_is_refused(tmp_path: Path, form: str) -> None:
    put(tmp_path / f"{form}.png")
    with pytest.raises(ManifestError, match=r"line 3: its image is on line 2 too"):
        manifest(tmp_path, f"path\n{NFC}.png\n{NFD}.png\n")


@pytest.mark.parametrize("path", ["sub\\b.png", ".\\sub\\b.png", "..\\lab\\sub\\b.png"])
def test_paths_of_windows(tmp_path: Path, path: str) -> None:
    picture = str(put(tmp_path / "lab" / "sub" / "b.png"))
    found = manifest(tmp_path / "lab", f"path,label\n{path},LY\n")
    assert found["path"].to_list() == [picture]
    assert "\\" not in found["cell_id"][0]
    assert list_inputs(put(tmp_path / "lab" / "l.txt", f'"{path}"\r\n', "utf-16")).cells[0].path == picture
    table = put(tmp_path / "lab" / "p.csv", "patient_id,age,lymphocytes\nA,1,2\n")
    cells = put(tmp_path / "lab" / "c.csv", f"patient_id,path\nA,{path}\n")
    assert open_cohort(table, cells=cells).cells["path"].to_list() == [picture]


@pytest.mark.parametrize("path", ["C:\\lab\\b.png", "\\\\nas\\lab\\b.png", "C:/lab/b.png"])
def test_a_drive_of_windows_is_one_message(tmp_path: Path, path: str) -> None:
    with pytest.raises(ManifestError, match=r"m.csv, line 2: a path of a Windows drive or share"):
        manifest(tmp_path, f"path,label\n{path},LY\nb.png,LY\n")
    with pytest.raises(ManifestError, match=r"l.txt, line 2: a path of a Windows drive or share"):
        list_inputs(put(tmp_path / "l.txt", f"a.png\n{path}\n"))


@pytest.mark.parametrize("name", ["a,b.png", "a;b.png", 'a "b".png', "a\tb.png"])
def test_a_separator_inside_a_quoted_name(tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '""')
    for separator in ",;\t":
        found = manifest(tmp_path, f'path{separator}label\n"{quoted}"{separator}LY\n')
        assert found.select("path", "code").row(0) == (f"{tmp_path}/{name}", "LY")
    found = cohort(tmp_path / "ward", f'patient_id,age,lymphocytes\n"{quoted}",1,2\n', (name,))
    assert found.patients["patient_id"].to_list() == [name]


@pytest.mark.parametrize("name", ["007", "7", "0010"])
def test_whole_numbers_are_ids_with_their_zeros(tmp_path: Path, name: str) -> None:
    found = cohort(tmp_path, f"patient_id,age,lymphocytes\n{name},45,8.2\n", (name,))
    assert found.patients["patient_id"].to_list() == [name]
    rows = manifest(tmp_path, f"path,cell_id,group\n{name},{name},{name}\n")
    assert rows.select("path", "cell_id", "group").row(0) == (f"{tmp_path}/{name}", name, name)


@pytest.mark.parametrize(("table", "folder"), [("007", "7"), ("p1", "P1"), ("P 1", "P1"), ("P_01", "p-1")])
def test_an_id_that_nearly_fits_is_told(tmp_path: Path, table: str, folder: str) -> None:
    found = cohort(tmp_path, f"patient_id,age,lymphocytes\n{table},45,8.2\nB,67,30\n", (folder, "B"))
    assert set(told(found)) == {(table, "no_images"), (folder, "no_patient")}
    assert any(f"The table has {table}: correct one of the two names" in text for text in found.problems["message"])


@pytest.mark.parametrize(("one", "other"), [("P1", "p1"), ("P01", "P1"), ("P 1", "P1")])
def test_ids_that_may_be_one_patient_are_told_with_both_lines(tmp_path: Path, one: str, other: str) -> None:
    found = cohort(tmp_path, f"patient_id,age,lymphocytes\n{one},45,8.2\n\n{other},45,8.2\n", (one, other))
    assert [reason for _, reason in told(found)] == ["similar_id"]
    message = found.problems["message"][0]
    assert f"{one} (line 2)" in message
    assert f"{other} (line 4)" in message


@pytest.mark.parametrize("gap", ["", "\n", ",,\n"])
def test_the_same_patient_twice_is_told_with_both_lines(tmp_path: Path, gap: str) -> None:
    header, second = "patient_id,age,lymphocytes\n", 3 + bool(gap)
    found = cohort(tmp_path, f"{header}A,45,8.2\n{gap}A,45,8.2\nB,1,2\n")
    assert told(found) == [("A", "duplicate_row")]
    assert f"patients.csv, line {second}: patient A is on line 2 too; both rows agree" in found.problems["message"][0]
    with pytest.raises(ManifestError, match=rf"line {second}: patient A is on line 2 too, with another age"):
        cohort(tmp_path, f"{header}A,45,8.2\n{gap}A,46,8.2\nB,1,2\n")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("A;45;12.500\nB;67;1.250", 2),  # decimals, or thousands?
        ("A;45;12,500\nB;67;1,250", 2),
        ("A;45;8\n\nB;67;1,250", 4),
        ("A;45;8.5\nB;67;9,5", 3),
        ("A;45;980\nB;67;1.250", 3),
        ("A;45;1.250.000\nB;67;8", 2),
    ],
)
def test_numbers_that_may_mean_two_things_are_refused_by_line(tmp_path: Path, rows: str, line: int) -> None:
    with pytest.raises(
        ManifestError, match=rf"patients.csv, line {line}: . values of 'lymphocytes' hold a (comma|point)"
    ):
        cohort(tmp_path, f"patient_id;age;lymphocytes\n{rows}\n")


@pytest.mark.parametrize("number", ["1.234,5", "12 500", "12'500", "1,234.5", "1.234.567"])
def test_thousands_are_not_guessed(tmp_path: Path, number: str) -> None:
    found = cohort(tmp_path, f'patient_id,age,lymphocytes\nA,45,"{number}"\nB,67,30\n')
    assert told(found) == [("A", "unreadable_number")]
    assert "patients.csv, line 2, patient A" in found.problems["message"][0]
    assert found.patients["lymphocytes"].to_list() == [None, 30.0]


@pytest.mark.parametrize("rows", ["A;45;8.25\nB;67;12.5", "A;45;8,250\nB;67;12,5", "A;45;8.2500\nB;67;12.500"])
def test_numbers_that_mean_one_thing_are_read(tmp_path: Path, rows: str) -> None:
    for separator in ";\t":
        found = cohort(tmp_path, f"patient_id;age;lymphocytes\n{rows}\n".replace(";", separator))
        assert found.patients["lymphocytes"].to_list() == [8.25, 12.5]
    found = cohort(tmp_path, "patient_id,age,lymphocytes\nA,45,8.250\nB,67,12.500\n")
    assert found.patients["lymphocytes"].to_list() == [8.25, 12.5]


@pytest.mark.parametrize("word", ["Test", " TEST ", "testing", "test"])
def test_a_split_is_known_in_any_capitals(tmp_path: Path, word: str) -> None:
    assert manifest(tmp_path, f"path,Split\na.png,{word}\n")["split"].to_list() == ["test"]
    put(tmp_path / "labels.csv", f"file,label,SPLIT\na.png,neutrophil,{word}\n")
    assert open_dataset("chula", tmp_path)["split"].to_list() == ["test"]


@pytest.mark.parametrize("width", ["360", "360.0", " 360 "])
def test_a_width_is_a_whole_number(tmp_path: Path, width: str) -> None:
    assert manifest(tmp_path, f"path,width\na.png,{width}\nb.png,\n")["width"].to_list() == [360, None]
    with pytest.raises(ManifestError, match="line 2: has a width that is no whole number"):
        manifest(tmp_path, f"path,width\na.png,{width.strip()}x\n")


@pytest.mark.parametrize("name", ["cells.xlsx", "cells.xls", "cells.csv"])
def test_a_workbook_is_named_and_what_to_do(tmp_path: Path, name: str) -> None:
    content = b"\xd0\xcf\x11\xe0" + bytes(512)
    for read in (read_manifest, read_second_labels, list_inputs, open_cohort):
        with pytest.raises(LeukopyError, match=rf"{name}: not a table but a workbook.*Save the sheet as 'CSV UTF-8'"):
            read(put(tmp_path / name, content))


@pytest.mark.parametrize("name", ["Patients.xlsx", "ward.xls", "ward.ods"])
def test_a_ward_with_a_workbook_only_is_told_what_to_do(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    put(tmp_path / f"~${name}")
    with pytest.raises(InputError, match=rf"holds no table of patients, but {name}: save its sheet as 'CSV UTF-8'"):
        open_cohort(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_list_in_any_dress(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "é 1.png")
    found = list_inputs(put(tmp_path / "l.txt", '\r\né 1.png \r\n\r\n"b.png"\r\n', encoding)).cells
    assert [(cell.cell_id, cell.path) for cell in found] == [
        ("é 1.png", f"{tmp_path}/é 1.png"),
        ("b.png", f"{tmp_path}/b.png"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_table_that_excel_saved_as_text_is_a_manifest(tmp_path: Path, encoding: str) -> None:
    cells = list_inputs(put(tmp_path / "m.txt", "Path\tLabel\na.png\tLY\nö.png\tMO\n", encoding)).cells
    assert [cell.path for cell in cells] == [f"{tmp_path}/a.png", f"{tmp_path}/ö.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_labels_beside_the_images_in_any_dress(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "labels.csv", "sep=;\nFile;Label;Slide;;\nx.png;neutrophil;Ü7;;\n;;;;\n", encoding)
    found = open_dataset("chula", tmp_path)
    assert found.select("path", "code", "group").rows() == [(f"{tmp_path}/x.png", "NEU", "Ü7")]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_second_annotator_in_any_dress(tmp_path: Path, separator: str) -> None:
    text = "sep=|\nPath|Label|LABEL2||\na.png|SNE|BNE||\n||||\nb.png|EO|||\n".replace("|", separator)
    assert read_second_labels(put(tmp_path / "m.csv", text, "utf-16")).to_list() == ["BNE", None]


def test_a_name_is_in_one_form(tmp_path: Path) -> None:
    rows = manifest(tmp_path, f"path,cell_id,group\na.png,{NFD},{NFD}\nb.png,x,{NFC}\n")
    assert rows["group"].to_list() == [unicodedata.normalize("NFC", NFD)] * 2
    assert rows["cell_id"][0] == NFC
    with pytest.raises(ManifestError, match="line 3: has the cell_id of line 2"):
        manifest(tmp_path, f"path,cell_id\na.png,{NFD}\nb.png,{NFC}\n")
