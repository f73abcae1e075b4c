"""Sends transactions to a FHIR server."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from leukopy.core.errors import MissingExtraError, SettingsError
from leukopy.review.exchange.not_taken import NotTakenError

LOGIN = "LEUKOPY_FHIR_LOGIN"
"""Environment variable with the token, or user:password, of the server."""
_SECONDS = 30
_LONGEST = 2**22
"""Bytes of an answer that are read."""
_LATER = frozenset({401, 403, 408, 409, 423, 425, 429})
"""Statuses of a client's fault that pass, or that an administrator mends without another message."""


def send_transaction(server: str, bundle: str, control: str, login: Path | None) -> str:
    """Send a transaction.

    Args:
        server: its URL.
        bundle: the transaction, JSON.
        control: message control id, sent as ``X-Request-ID`` in each attempt.
        login: file with the token or user:password; None: that of the environment, if any.

    Returns:
        The answer in words.

    Raises:
        NotTakenError: there is no answer, or the server refuses it.
        SettingsError: the file cannot be read.
        MissingExtraError: httpx is not installed.
    """
    try:
        import httpx  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("A FHIR server", "app") from error
    headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", "X-Request-ID": control}
    headers |= authorisation(login)
    try:
        # A redirection is not followed: the login goes to the server that was named, and nowhere else.
        with (
            httpx.Client(timeout=_SECONDS, follow_redirects=False) as client,
            client.stream("POST", server, content=bundle.encode(), headers=headers) as answer,
        ):
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > _LONGEST:
                    break
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotTakenError(f"{server}: no answer ({type(error).__name__}).", refused=False) from error
    return _read(status, body)


def authorisation(login: Path | None) -> dict[str, str]:
    """The header that tells who sends; empty without a login.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        secret = login.read_text("utf-8").strip() if login else os.environ.get(LOGIN, "").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{login}: the login of the FHIR server cannot be read. Check fhir_login.") from error
    if not secret:
        return {}
    basic = base64.b64encode(secret.encode()).decode()
    return {"Authorization": f"Basic {basic}" if ":" in secret else f"Bearer {secret}"}


def _read(status: int, body: bytes) -> str:
    """The answer in words; raises unless it says that the transaction was done."""
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    words = f"{status} {_outcome(found)}".strip()
    if 200 <= status < 300:
        if found.get("resourceType") == "Bundle" and found.get("type") == "transaction-response":
            return f"{status} transaction-response"
        # A page of a proxy, for one, is no answer of the server.
        raise NotTakenError(f"{words}: not the answer of a FHIR server to a transaction.", refused=False)
    raise NotTakenError(words, refused=400 <= status < 500 and status not in _LATER)


def _outcome(found: dict[str, Any]) -> str:
    """What an OperationOutcome says."""
    issues = found.get("issue")
    said = [
        str(issue.get("diagnostics") or issue.get("code") or "")
        for issue in (issues if isinstance(issues, list) else [])
        if isinstance(issue, dict)
    ]
    return "; ".join(filter(None, said))[:300]
