"""The CSV: one table, that no spreadsheet runs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO

import pytest

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents import signed_csv
from leukopy.review.records import ClassChoice, Signature, SignedContent


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "  =", "\t="])
def test_text_is_never_a_formula(build_content: Callable[..., SignedContent], start: str) -> None:
    text = f"{start}1+cmd|' /C calc'!A0"
    content = build_content(comment=text, slide="x", patient=f"{start.strip()}x", amendment_reason=text, revision=2)
    signed = signed_csv(content, laboratory=text)
    for line in lines(signed):
        for name, value in line.items():
            if value.lstrip(" \t").startswith(("=", "+", "-", "@")):
                assert float(value) < 0, (name, value)
        assert line["laboratory"].startswith("'")
        assert line["comment"].startswith("'")
        assert line["patient"].startswith("'")


def test_a_class_named_like_a_formula(build_content: Callable[..., SignedContent]) -> None:
    content = build_content()
    name = '=HYPERLINK("http://example.org")'
    assert ClassChoice(code="HAIRY", name=name, french=name, colour="#336699", key="", place="outside").name == name
    hostile = [one.model_copy(update={"name": name}) for one in content.differential.lines]
    view = content.differential.model_copy(update={"lines": tuple(hostile)})
    text = signed_csv(content.model_copy(update={"differential": view}))
    assert {line["name"] for line in lines(text) if line["kind"] == "differential"} == {f"'{name}"}


def test_every_line_tells_what_it_belongs_to(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    found = lines(signed_csv(content, signatures=signatures, laboratory="CHU de Lyon"))
    for line in found:
        assert line["notice"] == RESEARCH_USE_ONLY
        assert (line["patient"], line["slide"], line["specimen_date"]) == (
            "Martin, Jeanne", "S-2026-0142", "2026-11-20",
        )  # fmt: skip
        assert (line["status"], line["revision"], line["sha256"]) == ("final", "1", "1f" * 32)
        assert line["signed"] == (
            "Dr Amélie Durand, 2026-11-21T10:05:00+00:00; Pr Hugo Meyer, 2026-11-21T10:05:00+00:00"
        )
    kinds = [line["kind"] for line in found]
    assert kinds == sorted(
        kinds, key=["total", "differential", "per_100_leukocytes", "count", "patient", "agreement"].index
    )
    (patient,) = (line for line in found if line["kind"] == "patient")
    assert (patient["value"], patient["low95"], patient["high95"], patient["flag"]) == (
        "87.3",
        "78.0",
        "93.0",
        "tumoral",
    )
    raw, kappa = (line for line in found if line["kind"] == "agreement")
    assert (raw["value"], raw["unit"], raw["count"]) == ("97.4", "%", "115")  # 112 of 115
    assert 0.9 < float(kappa["value"]) < 1


def test_without_a_signature_it_is_preliminary(content: SignedContent) -> None:
    first = lines(signed_csv(content))[0]
    assert (first["status"], first["signed"], len(first["sha256"])) == ("preliminary", "", 64)
