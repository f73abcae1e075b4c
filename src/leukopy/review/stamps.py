"""Stamps of the audit log: its head in a file to be kept outside the station, on request with the time of an authority.

A stamp proves later that the log has not been put back to an earlier state or replaced. An RFC 3161 time-stamping
authority signs the head with its time; the file holds its answer, which `check` verifies, as does any other program
(`openssl ts -verify`).
"""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from leukopy.core.errors import InputError, MissingExtraError, OutputError
from leukopy.core.files import read_json, write_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings
from leukopy.review.records import AuditHead

_SECONDS = 30
"""Longest time that an authority may take."""
_LONGEST = 2**20
"""Bytes of its answer that are read."""


class Stamp(Settings):
    """The head of the log at a time."""

    notice: str = RESEARCH_USE_ONLY
    head: AuditHead
    authority: str | None = None
    """URL of the RFC 3161 authority."""
    response: str | None = None
    """Its answer (``TimeStampResp``), base64."""


def write_stamp(head: AuditHead, path: Path, authority: str | None = None) -> Stamp:
    """Write the head of the log to a file.

    Args:
        head: as `AuditStore.head` gives it.
        path: of the file, ``.json``.
        authority: URL of an RFC 3161 time-stamping authority; None: no time but the station's own.

    Raises:
        InputError: the authority does not answer, or refuses.
        OutputError: the file exists, or cannot be written.
        MissingExtraError: rfc3161-client is not installed.
    """
    if path.exists():
        raise OutputError(f"{path}: exists; a stamp is never overwritten. Give another name.")
    response = None if authority is None else base64.b64encode(_ask(authority, message(head))).decode()
    stamp = Stamp(head=head, authority=authority, response=response)
    write_json(path, stamp.model_dump(mode="json"))
    return stamp


def read_stamp(path: Path) -> Stamp:
    """A stamp that `write_stamp` wrote.

    Raises:
        InputError: the file is absent or no stamp.
    """
    return Stamp.build(read_json(path), where=str(path))


def check(stamp: Stamp, roots: Path | None = None) -> None:
    """Verify the answer of the authority.

    Args:
        stamp: with an answer; without one, nothing is verified.
        roots: certificates (PEM) that the authority's chain must end in; None: the answer must be for this head, and
            nobody is trusted.

    Raises:
        InputError: the answer is for another head, not granted, or not by an authority of ``roots``.
        MissingExtraError: rfc3161-client is not installed.
    """
    if stamp.response is None:
        return
    answer = _decoded(base64.b64decode(stamp.response))
    from cryptography.hazmat.primitives.hashes import SHA512, Hash  # noqa: PLC0415
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415

    digest = Hash(SHA512())
    digest.update(message(stamp.head))
    if answer.tst_info.message_imprint.message != digest.finalize():
        raise InputError(f"the stamp of entry {stamp.head.number}: the authority stamped something else.")
    if roots is None:
        return
    try:
        builder = VerifierBuilder()
        for certificate in load_pem_x509_certificates(roots.read_bytes()):
            builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(answer, message(stamp.head))
    except (OSError, ValueError, VerificationError) as error:
        raise InputError(
            f"the stamp of entry {stamp.head.number} is not by an authority of {roots}: {error}"
        ) from error


def message(head: AuditHead) -> bytes:
    """The bytes that an authority stamps."""
    return f"leukopy audit {head.number} {head.hash}".encode()


def heads(stamps: Sequence[Stamp]) -> list[AuditHead]:
    """The entries that the log must hold."""
    return [stamp.head for stamp in stamps]


def _ask(authority: str, data: bytes) -> bytes:
    try:
        from rfc3161_client import PKIStatus, TimestampRequestBuilder  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("A stamp of an authority", "app") from error
    if urlsplit(authority).scheme not in ("http", "https"):
        raise InputError(f"{authority}: give the http or https address of a time-stamping authority (RFC 3161).")
    query = TimestampRequestBuilder().data(data).nonce(nonce=True).cert_request(cert_request=True).build()
    request = urllib.request.Request(
        authority, query.as_bytes(), {"Content-Type": "application/timestamp-query"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            found: bytes = answer.read(_LONGEST)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise InputError(f"{authority}: does not answer ({error}). Try again, or write a stamp without it.") from error
    response = _decoded(found)
    if PKIStatus(response.status) is not PKIStatus.GRANTED or response.tst_info.nonce != query.nonce:
        raise InputError(f"{authority}: refused to stamp, or answered another request.")
    return found


def _decoded(answer: bytes):  # type: ignore[no-untyped-def]
    try:
        from rfc3161_client import decode_timestamp_response  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("A stamp of an authority", "app") from error
    try:
        return decode_timestamp_response(answer)
    except ValueError as error:
        raise InputError("the answer is none of a time-stamping authority (RFC 3161).") from error
