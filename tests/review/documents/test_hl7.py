"""The HL7 message: valid, with the codes, units and standing of each number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents import Outgoing, hl7_message
from leukopy.review.documents.hl7 import escaped
from leukopy.review.documents.issue import issue
from leukopy.review.exchange.order_messages import OrderMessage
from leukopy.review.records import CaseOrder, DeliveryKind, Signature, SignedContent
from support.laboratory import segments_of, valid

NOW = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
ORDER = CaseOrder(number="A|17", requester="Dr X", received=NOW)


@pytest.fixture
def outgoing(build_content: Callable[..., SignedContent], signatures: tuple[Signature, ...]) -> Callable[..., Outgoing]:
    def build(kind: DeliveryKind, content: SignedContent | None = None, *earlier: SignedContent) -> Outgoing:
        voided = "wrong tube" if kind is DeliveryKind.WITHDRAWAL else ""
        shown = issue(content or build_content(order=ORDER), signatures=signatures, laboratory="CHU", voided=voided)
        return Outgoing("c0ffee", kind, NOW, shown, tuple(issue(one, signatures=signatures) for one in earlier))

    return build


def fields(message: str, name: str) -> list[list[str]]:
    return [segment for segment in segments_of(message) if segment[0] == name]


def observation(message: str, code: str) -> list[str]:
    (one,) = (one for one in fields(message, "OBX") if f"{code}^" in one[3])
    return one


def test_a_result_with_its_order_patient_readers_and_numbers(outgoing: Callable[..., Outgoing]) -> None:
    message = hl7_message(outgoing(DeliveryKind.RESULT), "LIS^Hospital")
    valid(message)
    (head,), (patient,), (request,) = (fields(message, name) for name in ("MSH", "PID", "OBR"))
    assert head[1:12] == [
        "^~\\&", "leukopy", "CHU", "LIS", "Hospital", "20261121110000+0000", "", "ORU^R01^ORU_R01", "c0ffee", "P",
        "2.5.1",
    ]  # fmt: skip
    assert head[17] == "UNICODE UTF-8"
    assert patient[3] == "Martin, Jeanne"
    assert request[2:5] == [
        "A\\F\\17", f"{'ab' * 16}^leukopy",
        "24318-8^Differential panel - Blood by Manual count^LN^PANEL.panel^Differential count of the blood^L",
    ]  # fmt: skip
    assert (request[7], request[25], request[32], request[33]) == (
        "20261120",
        "F",
        "&Dr Amélie Durand",
        "&Pr Hugo Meyer",
    )
    eosinophils = observation(message, "EO.percent")
    assert eosinophils[3].startswith("714-6^Eosinophils/100 leukocytes in Blood by Manual count^LN^")
    assert eosinophils[5:9] == ["5.0", "%^%^UCUM", "1-4", "H"]
    assert observation(message, "LY.absolute")[5:7] == ["3.17", "10*9/L^10⁹/L^UCUM"]
    assert observation(message, "ERB.percent")[6].startswith("/100{WBCs}")
    assert {one[11] for one in fields(message, "OBX")} == {"F"}
    notes = " ".join(one[3] for one in fields(message, "NTE"))
    assert RESEARCH_USE_ONLY in notes
    assert "5 cells; 95 % limits 1.6 to 11.3 (sampling)." in notes


def test_an_amendment_is_a_correction_and_deletes_what_it_no_longer_gives(
    outgoing: Callable[..., Outgoing], build_content: Callable[..., SignedContent]
) -> None:
    before = build_content()
    after = build_content(revision=2, amendment_reason="Counted twice", leukocytes=None)
    message = hl7_message(outgoing(DeliveryKind.CORRECTION, after, before))
    valid(message)
    assert fields(message, "OBR")[0][25] == "C"
    deleted = [one for one in fields(message, "OBX") if one[11] == "D"]
    assert len(deleted) > 5
    assert all(".absolute^" in one[3] for one in deleted)
    assert {one[11] for one in fields(message, "OBX") if one not in deleted} == {"C"}
    numbers = [int(one[1]) for one in fields(message, "OBX")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_void_case_is_withdrawn(outgoing: Callable[..., Outgoing]) -> None:
    message = hl7_message(outgoing(DeliveryKind.WITHDRAWAL))
    valid(message)
    assert fields(message, "OBR")[0][25] == "X"
    assert {one[11] for one in fields(message, "OBX")} == {"W"}
    assert "wrong tube" in " ".join(one[3] for one in fields(message, "NTE"))


def test_what_was_not_divided_has_no_value(
    outgoing: Callable[..., Outgoing], build_content: Callable[..., SignedContent]
) -> None:
    message = hl7_message(outgoing(DeliveryKind.RESULT, build_content({"NEU": 5, "LY": 5})))
    segmented = observation(message, "SNE.percent")
    assert (segmented[5], segmented[11]) == ("", "X")


def test_before_the_signature_it_is_preliminary(
    outgoing: Callable[..., Outgoing], build_content: Callable[..., SignedContent]
) -> None:
    given = outgoing(DeliveryKind.RESULT)
    message = hl7_message(replace(given, issue=issue(build_content())))
    valid(message)
    assert fields(message, "OBR")[0][25] == "P"
    assert {one[11] for one in fields(message, "OBX")} == {"P"}


@given(some.text(max_size=60))
def test_no_text_breaks_out_of_its_field(text: str) -> None:
    put = escaped(text)
    assert not set(put) & set("|^&~\r\n\x0b\x1c")
    message = OrderMessage([["MSH", "|"], ["PID", "", "", put]], "^~\\&")
    known = "".join(letter if letter.isprintable() or ord(letter) > 127 else " " for letter in text)
    if "".join(known.split()) == "".join(text.split()) and len(text.splitlines()) < 2:
        assert message.text(message.segments[1], 3).split() == text.split()
