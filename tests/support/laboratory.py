"""Systems of a hospital on loopback: a receiver of HL7 messages, and a FHIR server that knows transactions."""

from __future__ import annotations

import json
import re
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fhir.resources.R4B import get_fhir_model_class
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message

Answer = Callable[[dict[str, list[str]]], str | None]
"""Gives the acknowledgement code for a message's segments; None: the connection is cut."""


def segments_of(message: str) -> list[list[str]]:
    return [line.split("|") for line in message.split("\r") if line]


class MllpReceiver:
    """A laboratory system that takes results: it keeps each message once, by its control id."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        """By message control id, in order of arrival."""
        self.arrivals: list[str] = []
        """Control ids, repetitions too."""
        self.answer: Callable[[str], str | None] = lambda _: "AA"
        """Code of the acknowledgement, by control id; None: the connection is cut."""
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                data = b""
                while part := self.request.recv(4096):
                    data += part
                    if b"\x1c\r" not in data:
                        continue
                    message = data.partition(b"\x1c\r")[0].removeprefix(b"\x0b").decode()
                    data = b""
                    answer = receiver.take(message)
                    if answer is None:
                        return
                    self.request.sendall(b"\x0b" + answer.encode() + b"\x1c\r")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def take(self, message: str) -> str | None:
        control = segments_of(message)[0][9]
        self.arrivals.append(control)
        code = self.answer(control)
        if code in ("AA", None):  # cut after it was read: the sender cannot know
            self.messages.setdefault(control, message)
        if code is None:
            return None
        return f"MSH|^~\\&|LIS|H|leukopy||20260101||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{control}|because\r"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class FhirServer:
    """A server that does transactions whole or not at all: conditional creation and conditional update."""

    def __init__(self) -> None:
        self.resources: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        """Headers and body of each transaction."""
        self.status: Callable[[], int] = lambda: 200
        """Asked at each request; 0: does it, and cuts the connection."""
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                served.requests.append((dict(self.headers), body))
                status = served.status()
                if status in (0, 200):
                    answer = served.transact(body)
                else:
                    issue = {"severity": "error", "code": "processing", "diagnostics": "as told"}
                    answer = {"resourceType": "OperationOutcome", "issue": [issue]}
                if status == 0:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/r4"

    def transact(self, bundle: dict[str, Any]) -> dict[str, Any]:
        assert bundle["type"] == "transaction"
        done = []
        for entry in bundle["entry"]:
            resource, request = entry["resource"], entry["request"]
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)  # raises where it is not valid
            kind = resource["resourceType"]
            query = request.get("ifNoneExist") or urlsplit(request["url"]).query
            found = [one for one in self.resources.setdefault(kind, []) if self._matches(one, query)]
            assert len(found) < 2, "the search of a conditional request found several"
            if request["method"] == "PUT":
                self.resources[kind] = [one for one in self.resources[kind] if one not in found] + [resource]
            elif not found:
                self.resources[kind].append(resource)
            done.append({"response": {"status": "200" if found else "201"}})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": done}

    @staticmethod
    def _matches(resource: dict[str, Any], query: str) -> bool:
        (wanted,) = parse_qs(query)["identifier"]
        *system, value = (re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\)\|", wanted))
        identifiers = resource.get("identifier", [])
        return any(one["value"] == value and (not system or one.get("system") == system[0]) for one in identifiers)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return self.resources.get(kind, [])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def closing_all(*servers: MllpReceiver | FhirServer) -> Iterator[None]:
    try:
        yield
    finally:
        for server in servers:
            server.close()


def valid(message: str) -> Message:
    """A message as hl7apy parses it; raises where it is no valid one."""
    parsed = parse_message(message, validation_level=VALIDATION_LEVEL.STRICT)
    parsed.validate()
    return parsed


def call(port: int, *messages: bytes, seconds: float = 30) -> list[list[list[str]]]:
    """Send messages on one connection; the segments of each acknowledgement."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        for message in messages:
            connection.sendall(b"\x0b" + message + b"\x1c\r")
            data = b""
            while b"\x1c\r" not in data:
                part = connection.recv(4096)
                if not part:
                    raise ConnectionError("no acknowledgement")
                data += part
            text = data.removeprefix(b"\x0b").partition(b"\x1c\r")[0].decode()
            valid(text)
            answers.append(segments_of(text))
    return answers


def order(number: str = "A17", kind: str = "ORM_O01", control: str = "NW", **patient: str) -> bytes:
    """A valid order, built by hl7apy."""
    event = kind.replace("_", "^")
    message = Message(kind, version="2.5.1")
    message.msh.msh_3, message.msh.msh_4 = "LIS", "Hospital"
    message.msh.msh_9, message.msh.msh_10, message.msh.msh_11 = f"{event}^{kind}", f"m-{number[:9]}", "P"
    message.msh.msh_18 = "UNICODE UTF-8"
    known = {"pid_3": "P17^^^H^MR", "pid_5": "Müller^Zoé", "pid_7": "19600101", "pid_8": "F", **patient}
    person = message.add_group(f"{kind}_PATIENT").add_segment("PID")
    for name, value in known.items():
        setattr(person, name, value)
    group = message.add_group(f"{kind}_ORDER")
    common = group.add_segment("ORC")
    common.orc_1, common.orc_2, common.orc_12 = control, number, "17^Weiss^Anna"
    text, number = message.to_er7(), number.replace("|", "\\F\\")
    return f"{text}\rOBR|1|{number}||DIFF^Differential^L|||20260102\rTQ1|1||||||||S\rSPM|1|S9^x\r".encode()
