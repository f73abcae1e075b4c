"""The FHIR transaction: what a server holds after a result, its repetition, its correction and its withdrawal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from leukopy.review.documents import Outgoing, fhir_transaction
from leukopy.review.documents.issue import issue
from leukopy.review.records import CaseOrder, DeliveryKind, Signature, SignedContent
from support.laboratory import FhirServer, closing_all

NOW = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FhirServer]:
    found = FhirServer()
    with closing_all(found):
        yield found


@pytest.fixture
def transaction(signatures: tuple[Signature, ...]) -> Callable[..., dict]:
    def build(kind: DeliveryKind, content: SignedContent, *earlier: SignedContent, patients: str = "") -> dict:
        voided = "wrong tube" if kind is DeliveryKind.WITHDRAWAL else ""
        shown = issue(content, signatures=signatures, laboratory="CHU", voided=voided)
        before = tuple(issue(one, signatures=signatures) for one in earlier)
        return json.loads(fhir_transaction(Outgoing("c0ffee", kind, NOW, shown, before), patients))

    return build


def statuses(server: FhirServer, kind: str = "Observation") -> set[str]:
    return {one["status"] for one in server.of(kind)}


def test_a_repeated_result_creates_nothing(server, transaction, build_content) -> None:
    order = CaseOrder(number="A17", received=NOW)
    bundle = transaction(DeliveryKind.RESULT, build_content(order=order), patients="urn:oid:1.2")
    server.transact(bundle)
    count = {kind: len(found) for kind, found in server.resources.items()}
    server.transact(bundle)
    assert {kind: len(found) for kind, found in server.resources.items()} == count
    (report,) = server.of("DiagnosticReport")
    assert report["status"] == "final"
    assert report["basedOn"][0]["identifier"]["value"] == "A17"
    assert server.of("Patient")[0]["identifier"] == [{"system": "urn:oid:1.2", "value": "Martin, Jeanne"}]


def test_a_patient_and_a_specimen_of_strange_names_are_found_again(server, transaction, build_content) -> None:
    bundle = transaction(DeliveryKind.RESULT, build_content(patient="Ünal & Søn|1, a=b?c#d", slide="S/1 &?"))
    server.transact(bundle)
    server.transact(bundle)
    assert len(server.of("Patient")) == len(server.of("Specimen")) == 1


def test_a_correction_replaces_and_marks_what_it_no_longer_gives(server, transaction, build_content) -> None:
    before = build_content()
    after = build_content(revision=2, amendment_reason="Counted twice", leukocytes=None)
    server.transact(transaction(DeliveryKind.RESULT, before))
    count = len(server.of("Observation"))
    server.transact(transaction(DeliveryKind.CORRECTION, after, before))
    assert len(server.of("Observation")) == count
    wrong = [one for one in server.of("Observation") if one["status"] == "entered-in-error"]
    assert {one["code"]["coding"][-1]["code"].rpartition(".")[2] for one in wrong} == {"absolute"}
    assert not [one for one in wrong if "valueQuantity" in one]
    assert statuses(server) == {"amended", "entered-in-error"}
    (report,) = server.of("DiagnosticReport")
    assert report["status"] == "amended"
    assert "Counted twice" in report["conclusion"]


def test_a_void_case_is_entered_in_error(server, transaction, build_content) -> None:
    server.transact(transaction(DeliveryKind.RESULT, build_content()))
    server.transact(transaction(DeliveryKind.WITHDRAWAL, build_content()))
    assert statuses(server) == statuses(server, "DiagnosticReport") == {"entered-in-error"}
    assert len(server.of("DiagnosticReport")) == 1


def test_of_nobody(server, transaction, build_content) -> None:
    server.transact(transaction(DeliveryKind.RESULT, build_content(patient="")))
    assert not server.of("Patient")
    assert len(server.of("DiagnosticReport")) == 1
