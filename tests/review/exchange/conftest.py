"""Stations that exchange with systems on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.laboratory import FhirServer, MllpReceiver, closing_all


@pytest.fixture
def receiver() -> Iterator[MllpReceiver]:
    found = MllpReceiver()
    with closing_all(found):
        yield found


@pytest.fixture
def server() -> Iterator[FhirServer]:
    found = FhirServer()
    with closing_all(found):
        yield found
