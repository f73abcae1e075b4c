"""Serves a station: socket, server, address."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Timer

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from leukopy.core.errors import SettingsError
from leukopy.review.app import create_app
from leukopy.review.documents import warm_up
from leukopy.review.on_cluster import Cluster
from leukopy.review.settings import ReviewSettings
from leukopy.review.worker_process import WorkerProcess

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SILENCE = 20
"""Seconds that a browser may be silent in the middle of a request."""
_GRACE = 3
"""Seconds that open connections have to end when the station is stopped."""
_WARM_UP = 1.0
"""Seconds after which the parts of a report are loaded: the first page comes first."""
_KEPT = 75
"""Seconds that an idle connection stays open for the reader's next gesture."""


def serve(settings: ReviewSettings, ready: Callable[[str], None], cluster: Cluster | None = None) -> None:
    """Run a station until it is interrupted.

    Args:
        settings: of the station.
        ready: called with the address once the server accepts connections; it contains a single user’s token.
        cluster: classifies the cells of big cases.

    Raises:
        SettingsError: the address cannot be taken, or the database not be opened.
        OutputError: the folder cannot be made.
    """
    if not (settings.serve or settings.host in _LOOPBACK):
        raise SettingsError(f"--host {settings.host}: without --serve nobody logs in, so nobody else may reach it.")
    with closing(_listen(settings)) as listening:
        _allow_connections()
        app = create_app(settings, cluster, WorkerProcess)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        # With HTTPS a proxy in front of the station knows its address.
        address = f"http://{host}:{listening.getsockname()[1]}/"
        ready(address if settings.serve else f"{address}?token={app.state.station.token.value}")
        config = uvicorn.Config(
            app,
            http=Impatient,
            lifespan="on",
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEPT,
            timeout_graceful_shutdown=_GRACE,
        )
        warming = Timer(_WARM_UP, warm_up)
        warming.daemon = True
        warming.start()
        gc.freeze()  # what the start made stays: a collection that looks at it again holds up all readers
        uvicorn.Server(config).run(sockets=[listening])


class Impatient(H11Protocol):
    """A connection that ends when the browser stays silent in the middle of a request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, not for ever."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a request as long as for its beginning."""
        begun = self._receiving()
        super().data_received(data)
        if not self._receiving():
            self._forget()
        elif not begun or (self.cycle is not None and self.cycle.more_body):
            self._wait()  # a body may be long: each part of it has this time; the head of a request, as a whole

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._forget()
        super().connection_lost(exc)

    def _receiving(self) -> bool:
        """Whether the browser still has to send: the head of a request, or its body."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self._idle()

    def _idle(self) -> bool:
        """Between two requests, with nothing of the next: uvicorn's own timer ends that."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _wait(self) -> None:
        self._forget()
        self._deadline = self.loop.call_later(SILENCE, self._end)

    def _end(self) -> None:
        if self.flow.read_paused:  # the station does not take more now: it is not the browser that is silent
            self._wait()
        else:
            self.transport.abort()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _allow_connections() -> None:
    """Let the process hold as many connections as the system permits it: each is a file."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # not on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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
