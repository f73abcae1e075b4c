"""Receivers and logins of the settings: what cannot be is refused, and no password is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leukopy.core.errors import SettingsError
from leukopy.review.exchange.fhir_client import send_transaction
from leukopy.review.exchange.not_taken import NotTakenError
from leukopy.review.settings import Exchange
from support.laboratory import FhirServer


@pytest.mark.parametrize(
    "wrong",
    [
        {"fhir_server": "https://user:secret@example.org/r4"},
        {"fhir_server": "ftp://example.org"},
        {"hl7_results": "example.org"},
        {"hl7_results": "mllp://example.org:1"},
        {"orders_senders": ["everywhere"]},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        Exchange.build(wrong)
    assert "secret" not in str(refused.value)


def test_the_login_goes_to_the_server_alone(
    tmp_path: Path, server: FhirServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "login").write_text("station:top-secret\n")
    server.status = lambda: 401
    with pytest.raises(NotTakenError) as failed:
        send_transaction(server.address, "{}", "x", tmp_path / "login")
    assert not failed.value.refused
    assert server.requests[0][0]["Authorization"] == "Basic c3RhdGlvbjp0b3Atc2VjcmV0"
    assert "secret" not in str(failed.value) + caplog.text
    with pytest.raises(SettingsError, match="fhir_login"):
        send_transaction(server.address, "{}", "x", tmp_path / "absent")
