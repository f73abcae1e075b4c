"""Orders as HL7 v2 messages ORM^O01 and OML^O21, and their acknowledgements.

Only what an order needs is read: PID (number, birth date, sex), ORC and OBR (number, priority, requester, time), TQ1
(priority) and SPM (specimen). A message is read by its delimiters: a general parser takes minutes for a hostile one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from leukopy.core.errors import LeukopyError, SettingsError
from leukopy.review.documents.hl7 import escaped, header, segment
from leukopy.review.records import NewOrder, Priority

TYPES = (("ORM", "O01"), ("OML", "O21"))
_CHARSETS = {"": "utf-8", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UTF-8": "utf-8", "8859/1": "iso-8859-1",
             "8859/15": "iso-8859-15"}  # fmt: skip
"""MSH-18 and its encoding; without one, what is not UTF-8 is refused."""
_ESCAPE = re.compile(r"\\(?:([FSTRE])|X((?:[0-9A-Fa-f]{2})+)|[^\\]{1,20})\\")
_PRIORITIES = {"S": Priority.EMERGENCY, "A": Priority.URGENT, "T": Priority.URGENT,
               "P": Priority.URGENT}  # fmt: skip
"""HL7 table 0485; all others are routine."""
_SEX = {"F": "female", "M": "male"}
_DAY = re.compile(r"\d{8}")
MOST_ORDERS = 100
"""Of one message."""


class OrderRefusedError(LeukopyError):
    """A message that is not taken."""

    def __init__(self, code: str, message: str, error: str = "") -> None:
        super().__init__(message)
        self.code = code
        """``AE``: its content is wrong; ``AR``: it cannot be taken at all, or not now."""
        self.error = error or {"AE": "102", "AR": "207"}[code]
        """HL7 table 0357."""


class Ordered(NamedTuple):
    """One order of a message."""

    control: str
    """ORC-1: ``NW`` new, ``CA`` cancelled."""
    number: str
    order: NewOrder | None
    """None: cancelled."""


@dataclass
class OrderMessage:
    """The segments of a message."""

    segments: list[list[str]]
    """Fields of each, beginning with its name; MSH has its delimiter as field 1."""
    delimiters: str
    """Component, repetition, escape and sub-component."""

    def text(self, fields: list[str], number: int, component: int = 1) -> str:
        """A component of the first repetition of a field, as people wrote it; empty where absent."""
        split, repeat, escape, part = tuple(self.delimiters)
        value = fields[number] if number < len(fields) else ""
        components = value.split(repeat)[0].split(split)
        first = components[component - 1].split(part)[0] if component <= len(components) else ""
        plain = {"F": self.segments[0][1], "S": split, "T": part, "R": repeat, "E": escape}

        def said(match: re.Match[str]) -> str:
            if match[2]:
                return bytes.fromhex(match[2]).decode("utf-8", "replace")
            return plain[match[1]] if match[1] else " "

        return _ESCAPE.sub(said, first.replace(escape, "\\") if escape != "\\" else first).strip()

    @property
    def control(self) -> str:
        """MSH-10, message control id."""
        return self.text(self.segments[0], 10)


def read_head(data: bytes) -> OrderMessage:
    """The first segment of a message, by which it is acknowledged whatever follows.

    Raises:
        OrderRefusedError: it is no HL7 v2 message.
    """
    head = data.partition(b"\r")[0].decode("ascii", "replace")
    if not head.startswith("MSH") or len(head) < 8 or len(set(head[3:8])) < 5 or any(map(str.isalnum, head[3:8])):
        raise OrderRefusedError("AR", "the message does not begin with MSH and its five delimiters.", "100")
    return OrderMessage([_head_fields(head)], head[4:8])


def read_message(data: bytes, head: OrderMessage) -> OrderMessage:
    """The segments of a message.

    Args:
        data: the message.
        head: as `read_head` reads it.

    Raises:
        OrderRefusedError: it is not in the character set that it states.
    """
    encoding = _CHARSETS.get(head.text(head.segments[0], 18).upper())
    if encoding is None:
        raise OrderRefusedError("AE", "MSH-18: this character set is not read; send UNICODE UTF-8 or 8859/1.", "103")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise OrderRefusedError("AE", "the bytes are not of the character set of MSH-18 (none: UTF-8).") from error
    first, *others = [line for line in text.replace("\n", "\r").split("\r") if line]
    return OrderMessage([_head_fields(first), *(line.split(first[3]) for line in others)], head.delimiters)


def _head_fields(line: str) -> list[str]:
    """The fields of MSH, of which the delimiter itself is the first."""
    name, *fields = line.split(line[3])
    return [name, line[3], *fields]


def orders_of(message: OrderMessage, today: date) -> list[Ordered]:
    """The orders of a message.

    Raises:
        OrderRefusedError: another kind of message, or an order that is not complete.
    """
    head = message.segments[0]
    if (message.text(head, 9, 1), message.text(head, 9, 2)) not in TYPES:
        raise OrderRefusedError("AR", "MSH-9: only ORM^O01 and OML^O21 are taken.", "200")
    if not message.text(head, 12).startswith("2."):
        raise OrderRefusedError("AR", "MSH-12: only HL7 version 2 is taken.", "203")
    if message.text(head, 11) not in ("", "P"):
        raise OrderRefusedError("AR", "MSH-11: only production messages (P) are taken.", "202")
    if not message.control:
        raise OrderRefusedError("AE", "MSH-10: the message control id is missing.", "101")
    groups = list(_groups(message))
    if not groups:
        raise OrderRefusedError("AE", "the message holds no ORC segment, hence no order.", "100")
    if len(groups) > MOST_ORDERS:
        raise OrderRefusedError("AE", f"the message holds more than {MOST_ORDERS} orders.")
    return [_ordered(message, group, today) for group in groups]


def acknowledge(message: OrderMessage | None, laboratory: str, refused: OrderRefusedError | None = None) -> str:
    """The acknowledgement of a message, its segments ended by carriage returns.

    Args:
        message: what is acknowledged; None: it could not be read.
        laboratory: name of this one.
        refused: why it is not taken; None: it is.
    """
    head = message.segments[0] if message else []
    receiver = "^".join(message.text(head, place) for place in (3, 4)) if message else ""
    event = message.text(head, 9, 2) if message else ""
    control = (escaped(message.control) if message else "") or "unknown"  # the field may not be empty
    fields = {1: refused.code if refused else "AA", 2: control}
    lines = [
        header(f"ACK^{escaped(event) or 'O01'}^ACK", secrets.token_hex(10), datetime.now(UTC), laboratory, receiver)
    ]
    lines.append(segment("MSA", fields | ({3: escaped(str(refused))} if refused else {})))
    if refused:
        lines.append(segment("ERR", {3: refused.error, 4: "E", 8: escaped(str(refused))}))
    return "".join(f"{line}\r" for line in lines)


@dataclass
class _Group:
    """The segments of one order."""

    patient: list[str]
    segments: dict[str, list[str]] = field(default_factory=dict)


def _groups(message: OrderMessage) -> Iterator[_Group]:
    patient: list[str] = []
    group: _Group | None = None
    for fields in message.segments[1:]:
        if fields[0] in ("PID", "ORC") and group:
            yield group
            group = None
        if fields[0] == "PID":
            patient = fields
        elif fields[0] == "ORC":
            group = _Group(patient)
        if group:
            group.segments.setdefault(fields[0], fields)
    if group:
        yield group


def _ordered(message: OrderMessage, group: _Group, today: date) -> Ordered:
    common, request = group.segments["ORC"], group.segments.get("OBR", [])
    control = message.text(common, 1)
    number = message.text(common, 2) or message.text(request, 2)
    if control not in ("NW", "CA"):
        raise OrderRefusedError("AE", "ORC-1: only NW (new) and CA (cancel) are taken; change a case by hand.", "103")
    if not number:
        raise OrderRefusedError("AE", "ORC-2: the placer order number is missing.", "101")
    if control == "CA":
        return Ordered(control, number, None)
    values = _values(message, group, today) | {"number": number}
    if not values["patient"]:
        raise OrderRefusedError("AE", "PID-3: the patient's number is missing.", "101")
    try:
        return Ordered(control, number, NewOrder.build(values, where="order"))
    except SettingsError as error:
        raise OrderRefusedError("AE", str(error)) from error


def _values(message: OrderMessage, group: _Group, today: date) -> dict[str, Any]:
    """The entries of an order."""
    text, patient = message.text, group.patient
    common, request = group.segments["ORC"], group.segments.get("OBR", [])
    specimen, timing = group.segments.get("SPM", []), group.segments.get("TQ1", [])
    codes = (text(timing, 9), text(common, 7, 6), text(request, 5), text(request, 27, 6))
    return {
        "patient": text(patient, 3) or text(patient, 2),
        "slide": text(specimen, 2),
        "age": _age(text(patient, 7), today),
        "sex": _SEX.get(text(patient, 8)),
        "priority": next((_PRIORITIES[code] for code in codes if code in _PRIORITIES), Priority.ROUTINE),
        "requester": _name(message, common, 12) or _name(message, request, 16),
        "specimen_date": _day(text(specimen, 17) or text(request, 7), "OBR-7"),
    }


def _name(message: OrderMessage, fields: list[str], place: int) -> str:
    """Family and given name, or the number, of a person (XCN)."""
    family, given = message.text(fields, place, 2), message.text(fields, place, 3)
    return ", ".join(filter(None, (family, given))) or message.text(fields, place)


def _day(text: str, where: str) -> date | None:
    if not text:
        return None
    try:
        if not _DAY.match(text):
            raise ValueError
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError as error:
        raise OrderRefusedError("AE", f"{where}: not a date (YYYYMMDD).") from error


def _age(born: str, today: date) -> float | None:
    """Years, one decimal below 10; None where the birth date is not known to the day."""
    day = _day(born, "PID-7") if len(born) >= 8 else None
    if day is None:
        return None
    years = (today - day).days / 365.25
    return round(years, 1) if years < 10 else float(int(years))
