"""HTML, PDF, CSV and FHIR of one content hold the same numbers, value by value."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leukopy.review.documents import fhir_bundle, signed_csv, signed_html, signed_pdf
from leukopy.review.documents.rows import rows
from leukopy.review.records import Signature, SignedContent

Numbers = dict[str, tuple[str, ...]]
"""By class code: count, value, low, high, absolute; empty where there is none."""

OWN = "urn:x-leukopy:quantity"


class Table(HTMLParser):
    """The cells of the rows that carry a class code."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[str]] = {}
        self._row: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "tr":
            code = values.get("data-code")
            self._row = self.rows.setdefault(code, []) if code else None
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = None

    def handle_data(self, data: str) -> None:
        if self._row:
            self._row[-1] = f"{self._row[-1]} {data.strip()}".strip()


def test_every_document_tells_that_a_slide_is_unlike_the_training_data(
    build_content: Callable[..., SignedContent],
) -> None:
    content = build_content(slide_check={"distance": 3.14, "nearest": "PBC", "cells": 99, "unlike_training": True})
    assert SignedContent.model_validate_json(content.model_dump_json()) == content  # as it is signed and kept
    said = "unlike the training data: distance 3.1 "
    assert said in re.sub(r"\s+", " ", signed_html(content))
    assert "scanner différents des données d’apprentissage" in signed_html(content, language="fr")
    report = json.loads(fhir_bundle(content))["entry"][0]["resource"]
    assert said in report["conclusion"]
    assert said in report["text"]["div"]
    lines = list(csv.DictReader(signed_csv(content).splitlines()))
    assert {line["slide_distance"] for line in lines} == {"3.14"}
    assert {line["slide_distance"] for line in csv.DictReader(signed_csv(build_content()).splitlines())} == {""}


def expected(content: SignedContent) -> Numbers:
    def text(value: Decimal | int | None) -> str:
        return "" if value is None else str(value)

    return {
        row.code: tuple(map(text, (row.count, row.value, row.low, row.high, row.absolute)))
        for row in rows(content.differential)
        if row.kind != "total"
    }


def from_html(page: str, *, total: bool) -> Numbers:
    parser = Table()
    parser.feed(page)
    found: Numbers = {}
    for code, (_, count, value, *rest) in parser.rows.items():
        if value in ("only counted", "not counted"):
            found[code] = (count, "", "", "", "")
            continue
        low, high = rest[0].split(" – ")
        absolute = ""
        if total:
            absolute = rest[-1] if len(rest) == 2 else rest[4]  # beside the 100 %, or in them
        found[code] = (count, value, low, high, absolute.rstrip(" ↑↓"))
    return found


def from_csv(text: str) -> Numbers:
    return {
        row["code"]: (row["count"], row["value"], row["low95"], row["high95"], row["absolute_10e9_per_l"])
        for row in csv.DictReader(text.splitlines(keepends=True))
        if row["kind"] in ("differential", "per_100_leukocytes", "count", "not_counted")
    }


def from_fhir(text: str) -> Numbers:
    found: Numbers = {}
    absolute: dict[str, str] = {}
    for entry in json.loads(text, parse_float=Decimal)["entry"]:
        one = entry["resource"]
        if one["resourceType"] != "Observation":
            continue
        (code,) = (coding["code"] for coding in one["code"]["coding"] if coding["system"] == OWN)
        name, _, quantity = code.partition(".")
        value = str(one["valueQuantity"]["value"]) if "valueQuantity" in one else ""
        if quantity == "absolute":
            absolute[name] = value
            continue
        parts = {
            part["code"]["coding"][0]["code"]: str(part["valueQuantity"]["value"]) for part in one.get("component", ())
        }
        if "count" in parts:
            value = "" if quantity == "count" else value
            found[name] = (parts["count"], value, parts.get("low95", ""), parts.get("high95", ""), "")
    return {code: (*numbers[:4], absolute.get(code, "")) for code, numbers in found.items()}


def as_numbers(found: Numbers) -> dict[str, list[Decimal | None]]:
    """14.2 and 14.20 are one number."""
    return {code: [Decimal(value) if value else None for value in values] for code, values in found.items()}


@pytest.mark.parametrize("leukocytes", [14.2, None])
def test_html_csv_and_fhir_hold_the_same_numbers(
    build_content: Callable[..., SignedContent], signatures: tuple[Signature, ...], leukocytes: float | None
) -> None:
    content = build_content(leukocytes=leukocytes)
    wanted = expected(content)
    assert len(wanted) == 15  # the 11 fine classes, atypical lymphocytes, the laboratory's own, and two sums
    page = signed_html(content, signatures=signatures)
    assert from_html(page, total=leukocytes is not None) == wanted
    assert from_csv(signed_csv(content, signatures=signatures)) == wanted
    assert as_numbers(from_fhir(fhir_bundle(content, signatures=signatures))) == as_numbers(wanted)


def test_the_pdf_holds_them_too(tmp_path: Path, content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    (tmp_path / "report.pdf").write_bytes(signed_pdf(signed_html(content, signatures=signatures)))
    command = ["pdftotext", "-layout", "report.pdf", "-"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    lines = [re.sub(r"\s+", " ", line) for line in text.splitlines()]
    for row in rows(content.differential):
        if row.kind == "total":
            assert f"{row.absolute} 10⁹/L ↑ high" in text
            continue
        tag = " + ".join(row.sums) if row.sums else row.code
        numbers = f"{row.count} " + ("only counted" if row.value is None else f"{row.value} {row.low} – {row.high}")
        assert [line for line in lines if f"{tag} {numbers}" in line], f"{tag} {numbers}"
        if row.absolute is not None:
            assert [line for line in lines if f"{tag} {numbers}" in line and str(row.absolute) in line]


def test_french_writes_the_same_digits_with_a_comma(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    page = signed_html(content, signatures=signatures, language="fr").replace("seulement compté", "only counted")
    found = {
        code: tuple(value.replace(",", ".") for value in values) for code, values in from_html(page, total=True).items()
    }
    assert found == expected(content)
    assert "62.1" not in page
    assert "41,8 – 62,1" in page  # 52 of 100, in R: binom.test(52, 100)


def test_flags_and_ranges_are_the_same(content: SignedContent) -> None:
    wanted = {row.code: row.flag for row in rows(content.differential) if row.flag}
    table = csv.DictReader(signed_csv(content).splitlines(keepends=True))
    assert {row["code"]: row["flag"] for row in table if row["kind"] == "differential" and row["flag"]} == wanted
    found = {}
    for entry in json.loads(fhir_bundle(content))["entry"]:
        one = entry["resource"]
        code = one["code"]["coding"][-1]["code"].removesuffix(".percent") if "code" in one else ""
        if one["resourceType"] == "Observation" and code in wanted:
            found[code] = one["interpretation"][0]["coding"][0]["code"]
            limits = one["referenceRange"][0]
            line = next(line for line in content.differential.lines if line.code == code)
            assert (limits["low"]["value"], limits["high"]["value"]) == line.reference
    assert found == wanted


def test_cells_that_are_not_counted_are_named_with_their_number_in_every_document(
    build_content: Callable[..., SignedContent],
) -> None:
    apart = [(None, "no_cell"), (None, "no_cell"), (None, "several_cells"), ("LY", "duplicate"), ("UNIDENTIFIED", "x")]
    plain, content = build_content(), build_content(apart=apart)
    assert SignedContent.model_validate_json(content.model_dump_json()) == content
    named = {"UNIDENTIFIED": 1, "NO_CELL": 2, "SEVERAL_CELLS": 1, "DUPLICATE": 1}
    numbers = expected(plain) | {code: (str(number), "", "", "", "") for code, number in named.items()}
    page = signed_html(content)
    assert from_html(page, total=True) == numbers
    assert from_csv(signed_csv(content)) == numbers
    assert as_numbers(from_fhir(fhir_bundle(content))) == as_numbers(numbers)
    titles = {
        entry["resource"]["code"]["text"]
        for entry in json.loads(fhir_bundle(content))["entry"]
        if entry["resource"]["resourceType"] == "Observation"
    }
    assert {"Not counted: no cell", "Not counted: duplicate"} <= titles
    assert "no class" in page  # a remark on an image without one
    assert "Images sans cellule, non comptées" in signed_html(content, language="fr")
