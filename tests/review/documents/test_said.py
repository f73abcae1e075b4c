"""What a reader says of a smear goes out with the count: as FHIR Observations and as OBX segments."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from leukopy.review.documents import Outgoing, fhir_bundle, fhir_transaction, hl7_message
from leukopy.review.documents.codes import OWN
from leukopy.review.documents.issue import issue
from leukopy.review.records import DeliveryKind, Estimated, Signature, SignedContent, SmearFindings, SmearView
from leukopy.review.records.phrases import Finding
from support.laboratory import FhirServer, closing_all, segments_of, valid

NOW = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
UNKNOWN = Estimated(value=None, low=None, high=None)
SMEAR = SmearView(
    fields=3, red_cells=900, platelets=70, clumps=1, platelet_estimate=UNKNOWN, platelets_refused="too few fields",
    judged=800, shapes=(), shapes_refused="",
    findings=SmearFindings(platelets=85, clumps=True, shapes={"macrocyte": "2+"}, comment="Clumps | at the edge"),
)  # fmt: skip
FINDINGS = (
    Finding(code="DOEHLE_BODIES", english="Döhle bodies", french="Corps de Döhle"),
    Finding(code="OURS", english="Ours ^ & | \\ own", french="Les nôtres"),
)
SAID = {"DOEHLE_BODIES.finding", "OURS.finding", "PLT.estimate", "PLT_CLUMPS.finding", "MACROCYTE.grade"}


@pytest.fixture
def signed(build_content: Callable[..., SignedContent]) -> Callable[..., SignedContent]:
    def build(
        findings: tuple[Finding, ...] = FINDINGS, smear: SmearView | None = SMEAR, **values: Any
    ) -> SignedContent:
        return build_content(**values).model_copy(update={"findings": findings, "smear": smear})

    return build


@pytest.fixture
def outgoing(signatures: tuple[Signature, ...]) -> Callable[..., Outgoing]:
    def build(kind: DeliveryKind, content: SignedContent, *earlier: SignedContent) -> Outgoing:
        voided = "wrong tube" if kind is DeliveryKind.WITHDRAWAL else ""
        before = tuple(issue(one, signatures=signatures) for one in earlier)
        return Outgoing("c0ffee", kind, NOW, issue(content, signatures=signatures, voided=voided), before)

    return build


def observations(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of `SAID`, by their code."""
    found = {one["code"]["coding"][-1]["code"]: one for one in resources if one["resourceType"] == "Observation"}
    return {code: one for code, one in found.items() if code in SAID}


def test_fhir_holds_each_finding_grade_and_estimate(
    signed: Callable[..., SignedContent], signatures: tuple[Signature, ...]
) -> None:
    text = fhir_bundle(signed(), signatures=signatures)
    Bundle.model_validate_json(text)
    resources = [entry["resource"] for entry in json.loads(text)["entry"]]
    found = observations(resources)
    assert set(found) == SAID
    assert found["DOEHLE_BODIES.finding"]["valueCodeableConcept"] == {
        "coding": [{"system": "http://snomed.info/sct", "code": "52101004", "display": "Present"}], "text": "Present",
    }  # fmt: skip
    assert found["OURS.finding"]["code"] == {
        "coding": [{"system": OWN, "code": "OURS.finding", "display": FINDINGS[1].english}],
        "text": FINDINGS[1].english,
    }
    assert found["MACROCYTE.grade"]["valueCodeableConcept"] == {"text": "2+"}
    assert found["PLT.estimate"]["valueQuantity"]["value"] == 85
    assert found["PLT.estimate"]["valueQuantity"]["code"] == "10*9/L"
    assert all("device" not in one and one["status"] == "final" for one in found.values())
    (report,) = (one for one in resources if one["resourceType"] == "DiagnosticReport")
    results = {one["reference"] for one in report["result"]}
    assert {f"urn:uuid:{one['id']}" for one in found.values()} <= results
    assert "Smear: Clumps | at the edge" in report["conclusion"]
    assert not observations([e["resource"] for e in json.loads(fhir_bundle(signed((), None)))["entry"]])


def test_a_server_keeps_one_of_each_and_marks_what_an_amendment_takes_back(
    signed: Callable[..., SignedContent], outgoing: Callable[..., Outgoing]
) -> None:
    before, after = signed(), signed(FINDINGS[:1], None, revision=2, amendment_reason="Read again")
    server = FhirServer()
    with closing_all(server):
        for sent in (
            outgoing(DeliveryKind.RESULT, before),
            outgoing(DeliveryKind.RESULT, before),
            outgoing(DeliveryKind.CORRECTION, after, before),
        ):
            server.transact(json.loads(fhir_transaction(sent)))
        found = observations(server.of("Observation"))
        wrong = {code for code, one in found.items() if one["status"] == "entered-in-error"}
        assert wrong == SAID - {"DOEHLE_BODIES.finding"}
        assert not [code for code in wrong if any(name.startswith("value") for name in found[code])]
        assert found["DOEHLE_BODIES.finding"]["status"] == "amended"
        server.transact(json.loads(fhir_transaction(outgoing(DeliveryKind.WITHDRAWAL, after, before))))
        assert {one["status"] for one in server.of("Observation")} == {"entered-in-error"}


def segments(message: str) -> dict[str, list[str]]:
    """The OBX of `SAID`, by their code."""
    valid(message)
    found = {}
    for one in segments_of(message):
        if one[0] == "OBX":
            found |= {code: one for code in SAID if f"{code}^" in one[3]}
    return found


def test_hl7_holds_each_finding_grade_and_estimate(
    signed: Callable[..., SignedContent], outgoing: Callable[..., Outgoing]
) -> None:
    message = hl7_message(outgoing(DeliveryKind.RESULT, signed()))
    found = segments(message)
    assert set(found) == SAID
    assert found["DOEHLE_BODIES.finding"][2:6] == [
        "CWE", "DOEHLE_BODIES.finding^Döhle bodies^L", "", "52101004^Present^SCT",
    ]  # fmt: skip
    assert found["OURS.finding"][3] == "OURS.finding^Ours \\S\\ \\T\\ \\F\\ \\E\\ own^L"
    assert found["MACROCYTE.grade"][2:6:3] == ["ST", "2+"]
    assert found["PLT.estimate"][2:7:2] == ["NM", "", "10*9/L^10⁹/L^UCUM"]
    assert float(found["PLT.estimate"][5]) == 85
    assert {one[11] for one in found.values()} == {"F"}
    assert {one[17] for one in found.values()} == {"^Judged by the reader"}
    numbers = [int(one[1]) for one in segments_of(message) if one[0] == "OBX"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "Clumps \\F\\ at the edge" in message


def test_hl7_deletes_what_an_amendment_takes_back(
    signed: Callable[..., SignedContent], outgoing: Callable[..., Outgoing]
) -> None:
    before, after = signed(), signed(FINDINGS[:1], None, revision=2, amendment_reason="Read again")
    found = segments(hl7_message(outgoing(DeliveryKind.CORRECTION, after, before)))
    assert {code for code, one in found.items() if one[11] == "D"} == SAID - {"DOEHLE_BODIES.finding"}
    assert found["DOEHLE_BODIES.finding"][11] == "C"
    assert {one[11] for one in segments(hl7_message(outgoing(DeliveryKind.WITHDRAWAL, after))).values()} == {"W"}
