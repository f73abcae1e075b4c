"""Tables that leukopy wrote are read back as they were; tables that others wrote are completed or refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from leukopy.core.errors import ManifestError, OutputError, SettingsError, UnknownLabelError
from leukopy.datasets import MANIFEST_SCHEMA, read_manifest, read_second_labels, write_manifest


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_only_the_path_is_required(tmp_path: Path) -> None:
    manifest = read_manifest(table(tmp_path / "m.csv", "path\na.png\nb/c.png\n"))
    assert dict(manifest.schema) == MANIFEST_SCHEMA
    assert manifest["path"].to_list() == [str(tmp_path / "a.png"), str(tmp_path / "b/c.png")]
    assert manifest["cell_id"].to_list() == ["manifest/a.png", "manifest/b/c.png"]
    assert manifest["source"].to_list() == ["manifest", "manifest"]
    assert manifest["code"].to_list() == [None, None]


def test_labels_become_codes_and_codes_go_before_labels(tmp_path: Path) -> None:
    text = "path,label,code\n1,segmented_neutrophil,\n2,Lymphocytes,\n3,neutrophil,sne\n4,,IG\n5,,\n"
    assert read_manifest(table(tmp_path / "m.csv", text))["code"].to_list() == ["SNE", "LY", "SNE", "IG", None]


def test_a_row_may_name_its_label_map(tmp_path: Path) -> None:
    text = "path,label,label_map,source\n1,2,cellavision,lab A\n2,KSC,aml-munich,\n3,NGS,,\n"
    manifest = read_manifest(table(tmp_path / "m.csv", text), source="lab B", labels="aml-munich")
    assert manifest["code"].to_list() == ["LY", "SMUDGE", "SNE"]
    assert manifest["cell_id"].to_list() == ["lab A/1", "lab B/2", "lab B/3"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_of_any_country_are_read(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + separator.join(("path", "label", "group")) + "\n" + separator.join(("a, b;c.png", "LY", "7"))
    text = text.replace("a, b;c.png", '"a, b;c.png"')
    manifest = read_manifest(table(tmp_path / "m.csv", text))
    assert manifest.select("path", "code", "group").row(0) == (str(tmp_path / "a, b;c.png"), "LY", "7")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    rows = {"path": ["/x/a.png", "/x/b.png"], "label": ["SNE", None], "group": ["7", None], "split": ["train", None]}
    first = read_manifest(_csv(tmp_path, rows)).with_columns(width=pl.lit(360, pl.Int32), digest=pl.lit("ab"))
    write_manifest(tmp_path / f"m.{suffix}", first)
    assert read_manifest(tmp_path / f"m.{suffix}").equals(first)


def _csv(folder: Path, rows: dict[str, list[str | None]]) -> Path:
    pl.DataFrame(rows).write_csv(folder / "rows.csv")
    return folder / "rows.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a table"),
        ("path,label\n", "holds no rows"),
        ("file,label\na.png,LY\n", r"line 1: column 'path' is missing \(columns found: file, label;"),
        ("path,label\na.png,LY\n,LY\n", "line 3: has no path"),
        ("path\na.png\nb.png\na.png\n", "line 4: its image is on line 2 too. Keep one"),
        ("path,cell_id\na.png,1\nb.png,1\n", "line 3: has the cell_id of line 2"),
        ("path,split\na.png,train\nb.png,dev\n", "line 3: has a split that is not train, val or test"),
        ("path,width\na.png,wide\n", "line 2: has a width that is no whole number of pixels"),
    ],
)
def test_a_table_that_will_not_do_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(table(tmp_path / "m.csv", text))
    assert str(tmp_path / "m.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "content"), [("m.csv", b"path\n\0\1\2.png\n"), ("m.parquet", b"path\na.png\n")])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=rf"{name}(, line \d)?: not a table"):
        read_manifest(tmp_path / name)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"m.csv: cannot be read \(No such file"):
        read_manifest(tmp_path / "m.csv")


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"path": ["a.png"], "label": [["LY"]]}).write_parquet(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"column 'label' holds List\(String\), neither text nor numbers"):
        read_manifest(tmp_path / "m.parquet")


def test_numbers_serve_as_labels_and_groups(tmp_path: Path) -> None:
    pl.DataFrame({"path": ["a.png"], "label": [3], "group": [7]}).write_parquet(tmp_path / "m.parquet")
    manifest = read_manifest(tmp_path / "m.parquet", labels="bloodmnist")
    assert manifest.select("label", "code", "group").row(0) == ("3", "IG", "7")


@pytest.mark.parametrize("column", ["label", "code"])
def test_an_unknown_label_names_the_row_and_the_known_ones(tmp_path: Path, column: str) -> None:
    with pytest.raises(
        UnknownLabelError, match=r"m.csv, line 3: label 'blob' is unknown in 'leukopy'; known labels: .*SNE"
    ):
        read_manifest(table(tmp_path / "m.csv", f"path,{column}\na.png,LY\nb.png,blob\n"))


def test_an_unknown_label_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="label map 'mine': no such map and no such file"):
        read_manifest(table(tmp_path / "m.csv", "path,label\na.png,LY\n"), labels="mine")


def test_a_manifest_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    manifest = read_manifest(table(tmp_path / "m.csv", "path\na.png\n"))
    with pytest.raises(SettingsError, match=r"m.xlsx: a manifest is written as .parquet or .csv"):
        write_manifest(tmp_path / "m.xlsx", manifest)
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(OutputError, match=r"taken\.csv: could not be written"):
        write_manifest(tmp_path / "taken.csv", manifest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.csv", "taken.csv"]


def test_a_second_annotator_is_read_as_the_first(tmp_path):
    path = table(tmp_path / "m.csv", "path,label,label2,code2\na.png,SNE,band neutrophil,\nb.png,EO,,LY\nc.png,EO,,\n")
    assert read_second_labels(path).to_list() == ["BNE", "LY", None]
    assert "code2" not in read_manifest(path).columns


def test_no_second_annotator(tmp_path):
    assert read_second_labels(table(tmp_path / "m.csv", "path,label\na.png,SNE\n")) is None


def test_an_unknown_second_label_names_its_row(tmp_path):
    path = table(tmp_path / "m.csv", "path,label,label2\na.png,SNE,SNE\nb.png,EO,eozinophil\n")
    with pytest.raises(UnknownLabelError, match=r"line 3: label 'eozinophil'"):
        read_second_labels(path)


def test_second_labels_follow_the_label_map_of_the_source(tmp_path):
    path = table(tmp_path / "m.csv", "path,label,label2,label_map\na.png,NGS,NGB,aml-munich\nb.png,1,2,cellavision\n")
    assert read_second_labels(path).to_list() == ["BNE", "LY"]
