"""Tables in every dress that editors and spreadsheets give them: the same rows, or one message with its line."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.core.errors import ManifestError
from leukopy.core.tables import column_name, has_column, read_header, read_table

COLUMNS = {"name": "Name", "count": "count", "note": "note"}
ROWS = [("007", "8,2", "Müller"), ("NA", "12", "")]


def read(path: Path, content: str | bytes, encoding: str = "utf-8") -> list[tuple[str, ...]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    table = read_table(path, COLUMNS, ("name",))
    return [tuple(row.values.get(field, "-") for field in COLUMNS) for row in table.rows]


def places(path: Path, content: str) -> list[str]:
    path.write_text(content, encoding="utf-8", newline="")
    return [row.place for row in read_table(path, COLUMNS, ("name",)).rows]


def refusal(path: Path, content: str | bytes) -> str:
    with pytest.raises(ManifestError) as refused:
        read(path, content)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert message.endswith(".")
    return message.removeprefix(str(path))


def dressed(separator: str = ";", end: str = "\n") -> str:
    lines = [("name", "count", "note"), *ROWS]
    return end.join(separator.join(f'"{value}"' if separator in value else value for value in line) for line in lines)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_every_encoding_separator_and_line_end_reads_the_same(
    tmp_path: Path, separator: str, end: str, encoding: str
) -> None:
    assert read(tmp_path / "t.csv", dressed(separator, end), encoding) == ROWS


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf16_of_both_orders_with_its_mark(tmp_path: Path, mark: bytes) -> None:
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    assert read(tmp_path / "t.csv", mark + dressed("\t").encode(encoding)) == ROWS


@pytest.mark.parametrize("line", ["sep=;", "SEP=;\r", '"sep=;"', "sep=;;;", " sep=; "])
def test_the_line_of_excel_that_names_the_separator(tmp_path: Path, line: str) -> None:
    text = f"{line}\n{dressed(';')}"
    assert read(tmp_path / "t.csv", text) == ROWS
    assert places(tmp_path / "t.csv", text) == ["line 3", "line 4"]


def test_excel_may_name_a_separator_of_its_own(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", f"sep=|\n{dressed('|')}") == ROWS
    assert read(tmp_path / "t.csv", f"sep=\t\n{dressed(chr(9))}") == ROWS


def test_a_separator_that_excels_line_denies_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path / "t.csv", f"sep=;\n{dressed(',')}")
    assert told.startswith(", line 2: separated by commas, but the line sep= above it says semicolons.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nname\n\na\n   \nb\n\n", ["line 5", "line 7"]),
        ("name;count\n;\na;1\n;;;;\n  ; \nb;2\n;\n;\n", ["line 3", "line 6"]),
        ("name;count;;;\na;1;;;\nb;2\n;;;;\n", ["line 2", "line 3"]),
        ('name,note\na,"one\ntwo"\nb,three\n', ["line 2", "line 4"]),
        ("name,count,,\na,1\nb,2,,,,,,\n", ["line 2", "line 3"]),
    ],
)
def test_blank_rows_and_trailing_columns_are_passed_over_and_lines_are_an_editors(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert places(tmp_path / "t.csv", text) == expected
    assert [row[0] for row in read(tmp_path / "t.csv", text)] == ["a", "b"]


@pytest.mark.parametrize(
    "header", ["NAME;Count;Note", " Name ;count ; note", '"name";"COUNT";"note"', "\ufeffname;count;note"]
)
def test_capitals_and_blanks_of_a_header_do_not_matter(tmp_path: Path, header: str) -> None:
    assert read(tmp_path / "t.csv", f"{header}\n a ; 1;x \n") == [("a", "1", "x")]


@pytest.mark.parametrize("text", ["Patient ID", "patient_id", " PATIENT-id\u00a0", "\ufeffPatient  Id"])
def test_one_name_for_a_column(text: str) -> None:
    assert column_name(text) == "patient_id"


@pytest.mark.parametrize("name", ["NA", "null", "None", "nan", "007", "1e5", "0", "True", "-"])
def test_a_name_stays_as_it_is_written(tmp_path: Path, name: str) -> None:
    assert read(tmp_path / "t.csv", f"name,count\n{name},1\n")[0][0] == name
    assert read(tmp_path / "t.csv", f'name,count\n"{name}",1\n')[0][0] == name
    assert read(tmp_path / "t.csv", f'name,count\n"=""{name}""",1\n')[0][0] == name, "Excel keeps zeros so"
    pl.DataFrame({"Name": [name]}).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", COLUMNS, ("name",)).rows[0].values == {"name": name}


@pytest.mark.parametrize("form", ["M\u00fcller", "Mu\u0308ller"])
def test_letters_are_composed_in_values_and_header(tmp_path: Path, form: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{form},name\n{form},{form}\n", encoding="utf-8")
    row = read_table(path, {"who": "M\u00fcller", "name": "name"}, ("who",)).rows[0]
    assert row.values == {"who": "M\u00fcller", "name": "M\u00fcller"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,count\na;1\nb;2\n", ", line 2: separated by semicolons, but the header (line 1) by commas. Save"),
        ("name,count\na;8,2\nb;9,1\n", ", line 2: separated by semicolons, but the header (line 1) by commas. Save"),
        ("\nname;count;note\n\na\t1\tx\n", ", line 4: separated by tabs, but the header (line 2) by semicolons. Save"),
        ("name,count,note\na,1,x\nb;2;y\n", ", line 3: separated by semicolons, but the header (line 1) by commas."),
    ],
)
def test_a_header_by_one_separator_and_a_body_by_another_is_refused(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path / "t.csv", text).startswith(told)


def test_one_decimal_comma_in_a_row_is_no_separator(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", "name;count\na;8,2\nb;9,1\n") == [("a", "8,2", "-"), ("b", "9,1", "-")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,count\na,1\nb,2,3\n", ", line 3: holds 3 values under 2 columns"),
        ("name,count,note\na,1\n", ", line 2: holds 2 values under 3 columns"),
        ("name,count,,\na,8,2\n", ", line 2: holds 3 values under 2 columns"),
        ("name,,count\na,8,2\n", ", line 2: holds a value in column 2, which has no name in the header"),
        ('name,note\na,x\nb,"y\nc,z\n', ", line 3: not a table from here on (a quotation mark is not closed"),
        ('name,note\na,"x"y\n', ", line 2: not a table from here on"),
        ("name,count,NAME\na,1,b\n", ", line 1: column Name occurs twice"),
        ("file,note\na,1\n", ", line 1: column 'Name' is missing (columns found: file, note; columns needed: Name)"),
        ("Bo,45,8.2\n", ", line 1: column 'Name' is missing (its first line names none of them; columns needed: Name)"),
        ("name,count\n,\n", ": holds no rows below its header"),
        ("", ": not a table (it is empty)"),
        ("\n ;;\n", ": not a table (it is empty)"),
        ("name,note\na,b\0c\n", ", line 2: not a table (no text)"),
    ],
)
def test_a_row_or_header_that_does_not_fit_is_refused_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path / "t.csv", text.replace("\0", "\x01")).startswith(told)


def test_the_first_column_may_be_row_numbers_without_a_name(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", ",name,count\n0,a,1\n1,b,2\n") == [("a", "1", "-"), ("b", "2", "-")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"name\na\nb\x81\n",
            ", line 3: not a table in UTF-8, UTF-16 or Windows-1252 (byte 0x81). Save it as 'CSV UTF-8'.",
        ),
        (
            "name\nMüller\n".encode() + b"M\xfcller\n",
            ", line 3: not a table in UTF-8, UTF-16 or Windows-1252 (byte 0xfc)",
        ),
        (b"\xef\xbb\xbfname\nM\xfcller\n", ", line 2: not a table in UTF-8"),
        ("\ufeffname\r\na\r\n".encode("utf-16-le") + b"a", ", line 3: not a table in UTF-8, UTF-16"),
    ],
)
def test_bytes_that_no_encoding_explains_are_refused_by_their_line(tmp_path: Path, content: bytes, told: str) -> None:
    assert refusal(tmp_path / "t.csv", content).startswith(told)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of a spreadsheet. Save the sheet as 'CSV UTF-8'"),
        (b"\xff\xd8\xff\xe0 JFIF", "a picture"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"PAR1....PAR1", "Parquet under another name. Give it the suffix .parquet"),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\3\4 cut short", "a damaged zip archive"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    assert refusal(tmp_path / "t.csv", content).startswith(f": not a table but {kind}")


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("xl/workbook.xml", "a workbook of a spreadsheet. Save the sheet as 'CSV UTF-8' and give that file."),
        ("content.xml", "a workbook of a spreadsheet."),
        ("train_images.npy", "NumPy arrays (.npz), which leukopy does not read. Save their images as files"),
        ("cells/a.png", "a zip archive. Unpack it."),
    ],
)
def test_what_a_zip_holds_is_named(tmp_path: Path, inside: str, kind: str) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr(inside, "x")
    assert refusal(tmp_path / "t.xlsx", (tmp_path / "t.xlsx").read_bytes()).startswith(f": not a table but {kind}")


def test_parquet_of_any_type_becomes_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "NAME": [7, 8, 9], "count": [8.0, float("nan"), 8.25], "note": [True, None, False],
        "born": [date(2020, 1, 2), None, None], "at": [datetime(2020, 1, 2, 3), None, None],
        "kind": pl.Series(["a", "b", None], dtype=pl.Categorical), "other": [[1], [2], [3]],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", {**COLUMNS, "born": "born", "at": "at", "kind": "kind"}, ("name",))
    assert [tuple(row.values.values()) for row in table.rows] == [
        ("7", "8", "True", "2020-01-02", "2020-01-02 03:00:00", "a"),
        ("8", "", "", "", "", "b"),
        ("9", "8.25", "False", "", "", ""),
    ]
    assert [row.place for row in table.rows] == ["row 1", "row 2", "row 3"]


@pytest.mark.parametrize("values", [[["a"]], [{"a": 1}], [b"a"]])
def test_parquet_of_a_type_that_is_no_text_is_refused(tmp_path: Path, values: list[object]) -> None:
    pl.DataFrame({"name": values}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ManifestError, match=r"t.parquet: column 'name' holds .*, neither text nor numbers"):
        read_table(tmp_path / "t.parquet", COLUMNS, ("name",))


def test_ids_that_another_program_made_floats_are_whole_numbers_again(tmp_path: Path) -> None:
    pl.DataFrame({"name": [7.0, None, 1e300], "count": ["a", "b", "c"]}).write_parquet(tmp_path / "t.parquet")
    rows = read_table(tmp_path / "t.parquet", COLUMNS, ("name",)).rows
    assert [row.values["name"] for row in rows] == ["7", "", "1e+300"]


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    for name, told in (("no.csv", "No such file"), ("no.parquet", "No such file"), ("d.csv", "directory")):
        with pytest.raises(ManifestError, match=rf"{name}: cannot be read \(.*{told}"):
            read_header(tmp_path / name)


def test_a_list_of_paths_is_no_table(tmp_path: Path) -> None:
    for text, expected in (("path\tlabel\na\tb\n", True), ("a.png\nb.png\n", False), ("path\n", False), ('"a', False)):
        (tmp_path / "t.txt").write_text(text)
        assert has_column(tmp_path / "t.txt", "path") is expected


CELL = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters='"='), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], separator: str, encoding: str
) -> None:
    """Quoted, whatever it holds, in composed letters."""
    import unicodedata

    path = tmp_path_factory.mktemp("t") / "t.csv"
    lines = [separator.join(f'"{value}"' for value in row) for row in [("name", "note"), *rows]]
    path.write_bytes("\n".join(lines).encode(encoding))
    found = [(row.values["name"], row.values["note"]) for row in read_table(path, COLUMNS, ("name",)).rows]
    assert found == [tuple(unicodedata.normalize("NFC", value) for value in row) for row in rows]
