"""The FHIR bundle: valid R4, with the codes, units and standing of each number."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents import fhir_bundle
from leukopy.review.records import Signature, SignedContent
from leukopy.taxonomy import COARSE, DISPLAY_ORDER

Resources = dict[str, list[dict[str, Any]]]


def resources(text: str) -> Resources:
    found: Resources = {}
    for entry in json.loads(text)["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def observation(found: Resources, code: str) -> dict[str, Any]:
    (one,) = (one for one in found["Observation"] if one["code"]["coding"][-1]["code"] == code)
    return one


def test_it_is_valid_and_whole(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    text = fhir_bundle(content, signatures=signatures, laboratory="CHU de Lyon")
    assert Bundle.model_validate_json(text).type == "collection"
    found = resources(text)
    assert {kind: len(some) for kind, some in found.items() if kind != "Observation"} == {
        "DiagnosticReport": 1, "Patient": 1, "Specimen": 1, "Device": 1,
    }  # fmt: skip
    (report,) = found["DiagnosticReport"]
    known = {entry["fullUrl"] for entry in json.loads(text)["entry"]}
    links = set(re.findall(r'"reference": "([^"]+)"', text))
    assert links <= known
    assert len(report["result"]) == len(found["Observation"]) == len({one["reference"] for one in report["result"]})
    assert [one["coding"][0]["code"] for one in report["category"]] == ["HM", "LAB"]
    assert report["code"]["coding"][0] == {
        "system": "http://loinc.org", "code": "24318-8", "display": "Differential panel - Blood by Manual count",
    }  # fmt: skip
    assert report["performer"] == [{"display": "CHU de Lyon"}]
    assert [one["display"] for one in report["resultsInterpreter"]] == ["Dr Amélie Durand", "Pr Hugo Meyer"]
    assert RESEARCH_USE_ONLY in report["conclusion"]
    assert RESEARCH_USE_ONLY in report["text"]["div"]
    assert found["Patient"][0]["identifier"] == [{"value": "Martin, Jeanne"}]
    for one in found["Observation"]:
        assert RESEARCH_USE_ONLY in " ".join(note["text"] for note in one["note"])


def test_a_share_with_its_code_unit_range_and_limits(content: SignedContent) -> None:
    one = observation(resources(fhir_bundle(content)), "EO.percent")
    assert one["code"]["coding"][0]["code"] == "714-6"
    assert one["valueQuantity"] == {
        "value": 5.0, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%",
    }  # fmt: skip
    assert one["interpretation"][0]["coding"][0]["code"] == "H"  # 5 of 100, usual are 1 to 4 %
    assert (one["referenceRange"][0]["low"]["value"], one["referenceRange"][0]["high"]["value"]) == (1, 4)
    assert [part["valueQuantity"]["value"] for part in one["component"]] == [5, 1.6, 11.3]
    assert "model" in one["method"]["text"]
    assert "device" in one


def test_nucleated_red_cells_per_100_leukocytes_and_absolute_counts(content: SignedContent) -> None:
    found = resources(fhir_bundle(content))
    cells = observation(found, "ERB.percent")
    assert cells["code"]["coding"][0]["code"] == "19048-8"
    assert cells["valueQuantity"]["code"] == "/100{WBCs}"
    assert cells["valueQuantity"]["value"] == 3
    white, lymphocytes = observation(found, "WBC.absolute"), observation(found, "LY.absolute")
    assert (white["code"]["coding"][0]["code"], white["valueQuantity"]["value"]) == (
        "26464-8",
        13.79,
    )  # 14.2 x 100 / 103
    assert lymphocytes["valueQuantity"] == {
        "value": 3.17, "unit": "10⁹/L", "system": "http://unitsofmeasure.org", "code": "10*9/L",  # 23 % of it
    }  # fmt: skip
    assert [f"urn:uuid:{one['id']}" for one in (observation(found, "LY.percent"), white)] == [
        one["reference"] for one in lymphocytes["derivedFrom"]
    ]
    own = observation(found, "HAIRY.percent")["code"]
    assert own["text"] == "Hairy cell"
    assert [coding["system"] for coding in own["coding"]] == ["urn:x-leukopy:quantity"]


def test_preliminary_then_final_then_amended_under_the_same_ids(
    build_content: Callable[..., SignedContent], signatures: tuple[Signature, ...]
) -> None:
    steps = [
        resources(fhir_bundle(build_content())),
        resources(fhir_bundle(build_content(), signatures=signatures)),
        resources(fhir_bundle(build_content(revision=2, amendment_reason="Counted twice"), signatures=signatures)),
    ]
    for found, status in zip(steps, ("preliminary", "final", "amended"), strict=True):
        assert found["DiagnosticReport"][0]["status"] == status
        assert {one["status"] for one in found["Observation"]} == {status}
    first, *others = [[one["id"] for one in found["Observation"]] for found in steps]
    assert others == [first, first]
    assert "Counted twice" in steps[2]["DiagnosticReport"][0]["conclusion"]
    assert "resultsInterpreter" not in steps[0]["DiagnosticReport"][0]


def test_without_a_leukocyte_it_says_why_there_is_no_value(build_content: Callable[..., SignedContent]) -> None:
    found = resources(fhir_bundle(build_content({"PLT": 3})))
    one = observation(found, "SNE.percent")
    assert "valueQuantity" not in one
    assert one["dataAbsentReason"]["coding"][0]["code"] == "not-applicable"
    assert observation(found, "PLT.count")["valueQuantity"]["value"] == 3


def test_what_people_wrote_is_escaped_in_the_text(build_content: Callable[..., SignedContent]) -> None:
    evil = '<script>alert("x")</script>'
    (report,) = resources(fhir_bundle(build_content(comment=evil)))["DiagnosticReport"]
    assert "&lt;script&gt;" in report["text"]["div"]
    assert "<script" not in report["text"]["div"]
    assert evil in report["conclusion"]  # plain text, as written


def test_a_case_of_nobody(build_content: Callable[..., SignedContent]) -> None:
    found = resources(fhir_bundle(build_content(patient="", specimen_date=None, leukocytes=None)))
    assert "Patient" not in found
    assert "subject" not in found["DiagnosticReport"][0]
    assert not [one for one in found["Observation"] if one["code"]["coding"][-1]["code"].endswith(".absolute")]


@pytest.mark.parametrize("column", ["loinc", "display"])
def test_the_table_of_codes_is_sound(column: str) -> None:
    text = (files("leukopy.review.documents") / "loinc.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(text.splitlines()))
    values = [row[column] for row in table]
    assert len(set(values)) == len(values)
    assert {row["class"] for row in table} <= {*DISPLAY_ORDER, *(cell.code for cell in COARSE), "PANEL", "WBC"}
    for row in table:
        number, _, check = row["loinc"].partition("-")
        # LOINC's check digit (mod 10: Luhn).
        doubled = "".join(
            str(int(digit) * (2 if place % 2 == 0 else 1)) for place, digit in enumerate(reversed(number))
        )
        assert -sum(map(int, doubled)) % 10 == int(check), row["loinc"]
