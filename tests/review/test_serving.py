"""The socket of a station."""

from __future__ import annotations

import socket

import pytest

from leukopy.core.errors import SettingsError
from leukopy.review.serving import _listen, serve
from leukopy.review.settings import ReviewSettings


def test_an_answer_does_not_wait_for_more_to_be_sent(tmp_path):
    """asyncio switches Nagle's waiting off for sockets that say they are TCP: 40 ms of each answer."""
    with _listen(ReviewSettings(folder=tmp_path, port=0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP
        assert listening.getsockname()[1] > 0


def test_a_port_that_another_uses_is_told_before_anything_is_made(tmp_path):
    with _listen(ReviewSettings(folder=tmp_path, port=0)) as listening:
        settings = ReviewSettings(folder=tmp_path / "station", port=listening.getsockname()[1])
        with pytest.raises(SettingsError, match="another program"):
            serve(settings, print)
    assert not (tmp_path / "station").exists()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_that_is_none_is_told(tmp_path, host):
    with pytest.raises(SettingsError, match="--host"):
        serve(ReviewSettings(folder=tmp_path, host=host, port=0, serve=True), print)
