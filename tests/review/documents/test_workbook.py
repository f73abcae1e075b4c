"""The workbook of a case: the numbers of its CSV, its cells, and no formula."""

from __future__ import annotations

import csv
import zipfile
from io import BytesIO, StringIO
from xml.etree import ElementTree

from leukopy.review.documents import signed_csv, signed_workbook
from leukopy.review.records import Signature, SignedContent

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(data: bytes) -> list[list[list[str]]]:
    """The rows of each sheet, as text."""
    with zipfile.ZipFile(BytesIO(data)) as book:
        strings = [
            "".join(text.text or "" for text in one.iter(f"{SPACE}t"))
            for one in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
        pages = [ElementTree.fromstring(book.read(name)) for name in names]
    return [[[read(cell, strings) for cell in row] for row in page.iter(f"{SPACE}row")] for page in pages]


def read(cell: ElementTree.Element, strings: list[str]) -> str:
    assert cell.find(f"{SPACE}f") is None, "a formula"
    value = cell.find(f"{SPACE}v")
    text = "" if value is None or value.text is None else value.text
    return strings[int(text)] if cell.get("t") == "s" else text


def test_it_holds_the_numbers_of_the_csv(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    count, cells, about = sheets(signed_workbook(content, signatures=signatures, laboratory="=CHU()"))
    lines = list(csv.DictReader(StringIO(signed_csv(content, signatures=signatures, laboratory="=CHU()"))))
    assert [row[:3] for row in count[1:]] == [[line["kind"], line["code"], line["name"]] for line in lines]
    shares = {line["code"]: line["value"] for line in lines if line["kind"] == "differential"}
    place = count[0].index("value") if "value" in count[0] else -1
    assert place > 0
    assert shares
    assert len(cells) == len(content.cells) + 1
    facts = dict(row[:2] for row in about[1:])
    assert facts["laboratory"] == "=CHU()"
    assert facts["patient"] == "Martin, Jeanne"
    assert "Research use only" in facts["notice"]
