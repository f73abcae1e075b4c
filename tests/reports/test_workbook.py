from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile

import polars as pl
import pytest

from leukopy.core.errors import InputError, OutputError
from leukopy.core.files import write_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.reports import workbook
from leukopy.reports.workbook import write_workbook

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_HOSTILE = ("=1+1", '=HYPERLINK("http://x","y")', "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "http://example.org", "007")


def _sheets(path):
    """Literally: every sheet's rows, as a spreadsheet program would read them from the XML."""
    with zipfile.ZipFile(path) as archive:
        book = ET.fromstring(archive.read("xl/workbook.xml"))
        names = [sheet.attrib["name"] for sheet in book.iter(f"{_MAIN}sheet")]
        return {
            name: _rows(ET.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml")))
            for number, name in enumerate(names, start=1)
        }


def _rows(sheet):
    assert not list(sheet.iter(f"{_MAIN}f")), "a formula"
    assert not list(sheet.iter(f"{_MAIN}hyperlink")), "a link"
    rows = []
    for row in sheet.iter(f"{_MAIN}row"):
        values = {}
        for cell in row.iter(f"{_MAIN}c"):
            column = re.match(r"[A-Z]+", cell.attrib["r"])[0]
            text = "".join(part.text or "" for part in cell.iter(f"{_MAIN}t"))
            number = cell.find(f"{_MAIN}v")
            kind = cell.attrib.get("t", "n")
            values[column] = text if kind == "inlineStr" else (kind == "b" and number.text == "1") or float(number.text)
        rows.append(values)
    return rows


@pytest.fixture
def folder(tmp_path):
    pl.DataFrame({
        "cell_id": _HOSTILE,
        "share": [0.5, None, float("nan"), float("inf"), -1.0, 2.0, 3.0],
        "cut": [True, False, True, True, True, True, True],
    }).write_parquet(tmp_path / "cells.parquet")  # fmt: skip
    (tmp_path / "failures.csv").write_text("cell_id,path,reason,message\n007,=evil,not_an_image,x\n")
    (tmp_path / "differential.csv").write_text("code,count\nLY,12\n")
    write_json(tmp_path / "run.json", {"command": "analyze", "provenance": {"created": "2026-11-29T10:00:00+00:00"}})
    return tmp_path


def test_a_sheet_per_table_and_no_name_is_a_formula(folder):
    found = _sheets(write_workbook(folder))
    assert list(found) == ["about", "differential", "cells", "failures"]
    assert {"A": "notice", "B": RESEARCH_USE_ONLY} in found["about"]
    assert [row["A"] for row in found["cells"]] == ["cell_id", *_HOSTILE]
    assert [row.get("B") for row in found["cells"]] == ["share", 0.5, None, None, None, -1.0, 2.0, 3.0]
    assert [row["C"] for row in found["cells"]][1:3] == [True, False]
    assert found["failures"][1] == {"A": "007", "B": "=evil", "C": "not_an_image", "D": "x"}
    assert found["differential"][1] == {"A": "LY", "B": 12.0}


def test_a_long_table_continues_on_the_next_sheet(folder, monkeypatch):
    monkeypatch.setattr(workbook, "SHEET_ROWS", 3)
    monkeypatch.setattr(workbook, "_CHUNK", 2)
    found = _sheets(write_workbook(folder))
    assert list(found) == ["about", "differential", "cells", "cells 2", "cells 3", "failures"]
    parts = [found[name] for name in ("cells", "cells 2", "cells 3")]
    assert [row["A"] for part in parts for row in part[1:]] == list(_HOSTILE)


def test_text_that_no_cell_holds_is_cut(folder):
    pl.DataFrame({"cell_id": ["x" * 40_000, "a\x01b\x1fc"]}).write_parquet(folder / "cells.parquet")
    _, long, strange = _sheets(write_workbook(folder))["cells"]
    assert long["A"] == "x" * 32_766 + "…"
    assert strange["A"] == "a�b�c"


def test_an_empty_table_keeps_its_heading(folder):
    pl.DataFrame(schema={"cell_id": pl.String, "share": pl.Float32}).write_parquet(folder / "cells.parquet")
    assert _sheets(write_workbook(folder))["cells"] == [{"A": "cell_id", "B": "share"}]


def test_the_same_tables_make_the_same_bytes(folder):
    first = write_workbook(folder).read_bytes()
    assert write_workbook(folder).read_bytes() == first


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no table of results"):
        write_workbook(tmp_path)


def test_no_permission_is_one_line(folder, monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OutputError, match=r"results\.xlsx: no permission"):
        write_workbook(folder)
    assert not list(folder.glob(".*"))
