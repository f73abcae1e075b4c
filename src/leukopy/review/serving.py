"""Serves a station: socket, server, address."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn

from leukopy.core.errors import SettingsError
from leukopy.review.app import create_app
from leukopy.review.settings import ReviewSettings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_GRACE = 3
"""Seconds that open connections have to end when the station is stopped."""
_KEPT = 75
"""Seconds that an idle connection stays open for the reader's next gesture."""


def serve(settings: ReviewSettings, ready: Callable[[str], None]) -> None:
    """Run a station until it is interrupted.

    Args:
        settings: of the station.
        ready: called with the address once the server accepts connections; it contains a single user’s token.

    Raises:
        SettingsError: the address cannot be taken, or the database not be opened.
        OutputError: the folder cannot be made.
    """
    if not (settings.serve or settings.host in _LOOPBACK):
        raise SettingsError(f"--host {settings.host}: without --serve nobody logs in, so nobody else may reach it.")
    with closing(_listen(settings)) as listening:
        app = create_app(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        # With HTTPS a proxy in front of the station knows its address.
        address = f"http://{host}:{listening.getsockname()[1]}/"
        ready(address if settings.serve else f"{address}?token={app.state.station.token.value}")
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEPT,
            timeout_graceful_shutdown=_GRACE,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(settings: ReviewSettings) -> socket.socket:
    """A socket that takes connections; before anything else is opened, since another station may have the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # TCP by name: of any other socket asyncio does not switch off Nagle's waiting, and each answer takes 40 ms more.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "another program, perhaps a station, uses it" if taken else "this computer has no such address"
        raise SettingsError(f"{settings.host}:{settings.port}: {why}. Choose another --port or --host.") from error
    return listening
