"""The signed count as an HL7 v2.5.1 message ORU^R01 (UTF-8): one OBX per number, with its limits in a note, and
one for each thing that the reader says of the smear.

OBR-25 and OBX-11 tell what the message is: P preliminary, F final, C correction of an earlier message, and for a void
case OBR-25 X with OBX-11 W (post as wrong). A number that an amendment no longer gives is deleted (OBX-11 D).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from leukopy.core.errors import InputError, MissingExtraError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents.codes import ABSOLUTE, CELLS, PER_100, PERCENT, loinc
from leukopy.review.documents.issue import Issue
from leukopy.review.documents.outgoing import Line, Outgoing, quantities, vanished, words
from leukopy.review.documents.rows import Pair, Row, percent
from leukopy.review.documents.said import BY_READER, PRESENT, Said
from leukopy.review.records import DeliveryKind

VERSION = "2.5.1"
CHARSET = "UNICODE UTF-8"
_DELIMITERS = "^~\\&"
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_METHOD = "Image-based differential: cells named by a model, each shown to a reader for correction"
_STATUS = {DeliveryKind.RESULT: "F", DeliveryKind.CORRECTION: "C", DeliveryKind.WITHDRAWAL: "X"}
_SEX = {"female": "F", "male": "M", None: "U"}


def hl7_message(outgoing: Outgoing, receiver: str = "") -> str:
    """The message, its segments ended by carriage returns, validated.

    Args:
        outgoing: the result.
        receiver: receiving application and facility, joined by ``^``.

    Raises:
        MissingExtraError: hl7apy is not installed.
        InputError: the message is no valid HL7.
    """
    segments = [_header(outgoing, receiver), *_patient(outgoing.issue), *_order(outgoing)]
    segments += [*_notes(outgoing), *_observations(outgoing), _specimen(outgoing.issue)]
    message = "".join(f"{segment}\r" for segment in segments)
    _validate(message)
    return message


def escaped(text: str) -> str:
    """Text without delimiters and control characters; a new line is a formatting command."""
    lines = (_CONTROL.sub(" ", line).translate(_ESCAPES) for line in text.splitlines())
    return "\\.br\\".join(lines)


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment of fields by number, whose text is escaped already; MSH-1 is the delimiter itself."""
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(fields.get(number, "") for number in range(first, max(fields) + 1))])


def moment(at: datetime) -> str:
    """A point in time, in UTC."""
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S}+0000"


def header(kind: str, control: str, at: datetime, sender: str, receiver: str = "") -> str:
    """The MSH segment of a message of this station.

    Args:
        kind: MSH-9, as ``ORU^R01^ORU_R01``.
        control: message control id.
        at: time of the message.
        sender: name of the laboratory.
        receiver: application and facility, joined by ``^``.
    """
    application, _, facility = receiver.partition("^")
    fields = {2: _DELIMITERS, 3: "leukopy", 4: escaped(sender), 5: escaped(application), 6: escaped(facility)}
    return segment("MSH", fields | {7: moment(at), 9: kind, 10: control, 11: "P", 12: VERSION, 18: CHARSET})


def _validate(message: str) -> None:
    try:
        from hl7apy.consts import VALIDATION_LEVEL  # noqa: PLC0415
        from hl7apy.exceptions import HL7apyException  # noqa: PLC0415
        from hl7apy.parser import parse_message  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("An HL7 message", "app") from error
    try:
        parse_message(message, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except (HL7apyException, ValueError) as error:
        name = type(error).__name__  # its message may hold a patient's data
        raise InputError(f"the result gives no valid HL7 {VERSION} ({name}). Report this as a fault.") from error


def _header(outgoing: Outgoing, receiver: str) -> str:
    return header("ORU^R01^ORU_R01", outgoing.id, outgoing.created, outgoing.issue.laboratory, receiver)


def _patient(document: Issue) -> Iterator[str]:
    case = document.content.case
    if case.patient:  # PID-5, the name, is required: none is known
        yield segment("PID", {1: "1", 3: escaped(case.patient), 5: "^^^^^^U", 8: _SEX[case.sex]})


def _order(outgoing: Outgoing) -> Iterator[str]:
    document, order = outgoing.issue, outgoing.order
    case = document.content.case
    placer, filler = escaped(order.number) if order else "", f"{case.id}^leukopy"
    withdrawn = outgoing.kind is DeliveryKind.WITHDRAWAL
    yield segment("ORC", {1: "RE", 2: placer, 3: filler, 5: "CA" if withdrawn else "CM"})
    readers = [f"&{escaped(one.user)}" for one in document.signatures]
    fields = {
        1: "1", 2: placer, 3: filler, 4: _code("PANEL", "panel", "Differential count of the blood"),
        7: f"{case.specimen_date:%Y%m%d}" if case.specimen_date else "",
        22: moment(document.at), 24: "HM", 25: "P" if document.preliminary else _STATUS[outgoing.kind],
        32: readers[0] if readers else "", 33: "~".join(readers[1:]),
    }  # fmt: skip
    yield segment("OBR", fields)


def _notes(outgoing: Outgoing) -> Iterator[str]:
    content, document = outgoing.issue.content, outgoing.issue
    lines = [RESEARCH_USE_ONLY, *content.differential.notes]
    if content.case.revision > 1:
        lines.append(f"Revision {content.case.revision}, amended: {content.case.amendment_reason or ''}")
    if document.voided:
        lines.append(f"Withdrawn, do not use. The case is void: {document.voided}")
    lines += [content.case.comment] if content.case.comment else []
    if content.smear and content.smear.findings.comment:
        lines.append(f"Smear: {content.smear.findings.comment}")
    lines.append(f"Model {content.model or 'none'} {content.model_sha256[:12]}; leukopy {content.leukopy}.")
    if document.entry:
        lines.append(f"Signed content sha256 {document.digest}; audit log {document.entry[0]}:{document.entry[1]}.")
    yield from (_note(number, line) for number, line in enumerate(lines, start=1))


def _note(number: int, text: str) -> str:
    return segment("NTE", {1: str(number), 3: escaped(text)})


def _observations(outgoing: Outgoing) -> Iterator[str]:
    document = outgoing.issue
    status = "P" if document.preliminary else _STATUS[outgoing.kind]
    status = "W" if status == "X" else status
    number = 0
    for code, quantity, row in quantities(document):
        number += 1
        yield from _observation(document, number, (code, quantity), row, status)
    for name, (earlier, row) in vanished(outgoing).items():
        number += 1
        observation, *_ = _observation(earlier, number, name, row, "D")
        yield observation


def _observation(document: Issue, number: int, name: tuple[str, str], row: Line, status: str) -> Iterator[str]:
    """An OBX, and a note on it."""
    case = document.content.case
    fields = {
        1: str(number), 3: _code(*name, words(row)), 11: status,
        14: f"{case.specimen_date:%Y%m%d}" if case.specimen_date else "",
    }  # fmt: skip
    if isinstance(row, Said):
        yield segment("OBX", fields | _said(row))
        return
    value, unit, usual, flag = _value(document, name[1], row)
    yield segment("OBX", fields | {
        2: "NM", 5: "" if value is None else f"{value}", 6: f"{unit[1]}^{unit[0]}^UCUM",
        7: f"{usual[0]}-{usual[1]}" if usual else "", 8: flag or "",
        11: "X" if value is None and status != "D" else status, 17: f"^{_METHOD}",
    })  # fmt: skip
    if remark := _remark(document, name[1], row):
        yield _note(1, remark)


def _said(one: Said) -> dict[int, str]:
    """Type, value, unit and method of what the reader says."""
    if isinstance(one.value, Decimal):
        value = {2: "NM", 5: f"{one.value}", 6: f"{ABSOLUTE[1]}^{ABSOLUTE[0]}^UCUM"}
    elif one.value == PRESENT[1]:
        value = {2: "CWE", 5: f"{PRESENT[0]}^{PRESENT[1]}^SCT"}
    else:
        value = {2: "ST", 5: escaped(one.value)}
    return value | {17: f"^{BY_READER}"}


def _value(
    document: Issue, quantity: str, row: Row | None
) -> tuple[Decimal | None, tuple[str, str], Pair | None, str | None]:
    """Value, unit, usual range and flag of a number."""
    if row is None:
        patient = document.content.patient
        return percent(patient.probability) if patient else None, PERCENT, None, None
    if quantity == "absolute":
        return row.absolute, ABSOLUTE, row.absolute_reference, row.absolute_flag
    if quantity == "count":
        return Decimal(row.count or 0), CELLS, None, None
    return row.value, PERCENT if row.kind == "differential" else PER_100, row.reference, row.flag


def _remark(document: Issue, quantity: str, row: Row | None) -> str:
    """Cells and limits behind a number."""
    patient = document.content.patient
    if row is None:
        return "" if patient is None else " ".join((f"{patient.decision.capitalize()}.", *patient.flags))
    if quantity != "percent":
        return ""
    if row.value is None:
        return "Not divided into this class" if row.undivided else "No leukocyte was counted"
    total = row.total_low is not None and row.total_high is not None
    return " ".join((
        f"{row.count} cells; 95 % limits {row.low} to {row.high} (sampling)"
        f"{f', {row.total_low} to {row.total_high} (sampling and classification)' if total else ''}.",
    ))  # fmt: skip


def _specimen(document: Issue) -> str:
    case = document.content.case
    fields = {1: "1", 2: f"^{escaped(case.slide)}", 4: "119297000^Blood specimen^SCT"}
    return segment("SPM", fields | ({17: f"{case.specimen_date:%Y%m%d}"} if case.specimen_date else {}))


def _code(code: str, quantity: str, words: str) -> str:
    own = f"{code}.{quantity}^{escaped(words)}^L"
    known = loinc().get((code, quantity))
    return f"{known[0]}^{escaped(known[1])}^LN^{own}" if known else own
