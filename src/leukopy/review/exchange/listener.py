"""Takes orders over MLLP. Whoever reaches the port is hostile until the message is read."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from datetime import date
from ipaddress import ip_address, ip_network

from starlette.concurrency import run_in_threadpool

from leukopy.core.errors import LeukopyError, SettingsError
from leukopy.review.exchange.mllp import END, START, frame
from leukopy.review.exchange.order_messages import (
    OrderMessage,
    OrderRefusedError,
    acknowledge,
    orders_of,
    read_head,
    read_message,
)
from leukopy.review.security.problems import log_error
from leukopy.review.settings import Exchange
from leukopy.review.store import Store, Unavailable

LONGEST = 2**16
"""Bytes of a message; an order has about a thousand."""
SILENCE = 20.0
"""Seconds for a message from its first byte to its last, and for the sender to read its acknowledgement."""
IDLE = 600.0
"""Seconds between two messages of a connection."""
MOST = 64
"""Connections at a time: of more, the one that has been silent longest ends."""
_GARBAGE = 1024
"""Bytes between two messages, or before the first, after which a connection ends."""


class OrdersListener:
    """A server of MLLP in the loop of the station.

    Raises:
        SettingsError: its address cannot be taken.
    """

    def __init__(self, store: Store, settings: Exchange) -> None:
        self._store = store
        self._settings = settings
        self._senders = [ip_network(sender, strict=False) for sender in settings.orders_senders]
        self._socket = _listen(settings)
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, float] = {}
        """Connections, and when they were last heard."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Answer those who call."""
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=LONGEST)

    async def stop(self) -> None:
        """End all connections; an order whose acknowledgement was sent is stored."""
        if self._server:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the messages of a connection, one after the other."""
        if not self._may_send(writer):
            writer.transport.abort()
            return
        if len(self._open) >= MOST:
            min(self._open, key=self._open.__getitem__).transport.abort()
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._open[writer] = loop.time()
                data = await _next_message(reader)
                self._open[writer] = loop.time()
                answer = await run_in_threadpool(self.answer, data)
                writer.write(frame(answer.encode()))
                await asyncio.wait_for(writer.drain(), SILENCE)
                if data is None:  # its end is not known
                    return
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._open.pop(writer, None)
            with suppress(OSError):
                writer.close()

    def _may_send(self, writer: asyncio.StreamWriter) -> bool:
        if not self._senders:
            return True
        peer = writer.get_extra_info("peername")
        address = ip_address(str(peer[0]).partition("%")[0]) if peer else None
        return address is not None and any(address in network for network in self._senders)

    def answer(self, data: bytes | None) -> str:
        """The acknowledgement of a message, after what it orders is stored; None: it was too long to be read."""
        message: OrderMessage | None = None
        laboratory = self._store.settings.laboratory
        try:
            if data is None:
                raise OrderRefusedError("AR", f"the message is longer than {LONGEST:,} bytes, or badly framed.")
            message = read_head(data)
            message = read_message(data, message)
            self._take(message)
        except OrderRefusedError as error:
            return acknowledge(message, laboratory, error)
        except Unavailable as error:
            return acknowledge(message, laboratory, OrderRefusedError("AR", str(error)))
        except LeukopyError as error:
            return acknowledge(message, laboratory, OrderRefusedError("AE", str(error)))
        except Exception as error:  # noqa: BLE001  one message ends no station
            log_error(error)
            refused = OrderRefusedError("AR", "the station failed; its log says where.")
            return acknowledge(message, laboratory, refused)
        return acknowledge(message, laboratory)

    def _take(self, message: OrderMessage) -> None:
        found = orders_of(message, date.today())
        cancelled = [one.number for one in found if one.order is None]
        self._store.orders.take([one.order for one in found if one.order], "hl7", cancelled)


def _listen(settings: Exchange) -> socket.socket:
    host, port = settings.orders_host, settings.orders_port or 0
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"{host}:{port}: orders cannot be taken there. Choose another orders_port.") from error


async def _next_message(reader: asyncio.StreamReader) -> bytes | None:
    """The next message; None: it is too long, or its frame is wrong.

    Raises:
        IncompleteReadError: the connection ended.
        TimeoutError: nothing more came.
    """
    async with asyncio.timeout(IDLE):
        for _ in range(_GARBAGE):
            if await reader.readexactly(1) == START:
                break
        else:
            return None
    async with asyncio.timeout(SILENCE):
        try:
            return (await reader.readuntil(END)).removesuffix(END)
        except asyncio.LimitOverrunError:
            return None
