"""MLLP: HL7 v2 messages on a TCP connection, each framed by a vertical tab, and a file separator with a return."""

from __future__ import annotations

import socket
import time

from leukopy.review.exchange.not_taken import NotTakenError

START, END = b"\x0b", b"\x1c\r"
_SECONDS = 30
"""Longest time that a receiver may take to answer."""
_LONGEST = 2**16
"""Bytes of an answer that are read."""
_TAKEN, _REFUSED = ("AA", "CA"), ("AE", "CE")


def frame(message: bytes) -> bytes:
    """A message as it goes over the connection."""
    return START + message + END


def send_message(address: str, message: str, control: str) -> str:
    """Send a message, and wait for its acknowledgement.

    Args:
        address: ``HOST:PORT``.
        message: its segments.
        control: message control id; the acknowledgement must name it.

    Returns:
        The answer in words.

    Raises:
        NotTakenError: there is no answer, or none to this message; or the receiver refuses it.
    """
    host, _, port = address.rpartition(":")
    until = time.monotonic() + _SECONDS
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as connection:
            connection.sendall(frame(message.encode()))
            answer = _answer(connection, until)
    except (OSError, OverflowError) as error:
        raise NotTakenError(f"{address}: no answer ({type(error).__name__}).", refused=False) from error
    return _read(answer, control)


def _answer(connection: socket.socket, until: float) -> bytes:
    found = b""
    while END not in found:
        connection.settimeout(max(until - time.monotonic(), 0.01))
        part = connection.recv(4096)
        if not part or len(found) > _LONGEST:
            raise NotTakenError("The receiver ended the connection without an acknowledgement.", refused=False)
        found += part
    return found.partition(END)[0].removeprefix(START)


def _read(answer: bytes, control: str) -> str:
    """The answer in words; raises unless it says that this message was taken."""
    segments = answer.decode("utf-8", "replace").replace("\n", "\r").split("\r")
    fields = {line[0]: line for line in (segment.split(segments[0][3:4] or "|") for segment in segments)}
    _, code, known, text, *_ = [*fields.get("MSA", [""]), "", "", ""]
    words = " ".join(filter(None, (code, text, _errors(fields.get("ERR", [])))))
    if known != control or not code:
        raise NotTakenError(f"The receiver acknowledged another message, or none: {words}".strip(), refused=False)
    if code not in _TAKEN:  # AR tells of a receiver that cannot take it now; the same message may do later
        raise NotTakenError(words, refused=code in _REFUSED)
    return words


def _errors(fields: list[str]) -> str:
    """Code and words of an ERR segment."""
    return " ".join(filter(None, (fields[place] for place in (3, 7, 8) if place < len(fields))))
