"""All that exchanges with other systems while a station runs."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from leukopy.review.exchange.drop_folder import DropFolder
from leukopy.review.exchange.listener import OrdersListener
from leukopy.review.exchange.sender import Sender
from leukopy.review.records import ExchangeState, Route
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store


class ExchangeService:
    """Senders of results, and takers of orders, as the settings say.

    Raises:
        SettingsError: the port for orders cannot be taken.
        OutputError: the folder for orders cannot be made.
    """

    def __init__(self, store: Store, settings: ReviewSettings) -> None:
        given = settings.exchange
        self._settings = given
        self._senders = [Sender(store, settings, route) for route in given.routes]
        self._listener = None if given.orders_port is None else OrdersListener(store, given)
        self._folder = None if given.orders_folder is None else DropFolder(store, given.orders_folder)

    async def start(self) -> None:
        """Begin to exchange."""
        if self._listener:
            await self._listener.start()
        if self._folder:
            self._folder.start()
        for sender in self._senders:
            sender.start()

    async def stop(self) -> None:
        """End, after the present delivery and file."""
        if self._listener:
            await self._listener.stop()
        for part in (self._folder, *self._senders):
            if part:
                await run_in_threadpool(part.stop)

    @property
    def state(self) -> ExchangeState:
        """What is exchanged."""
        receivers = {Route.HL7: self._settings.hl7_results, Route.FHIR: self._settings.fhir_server}
        return ExchangeState(
            routes={route: receivers[route] or "" for route in self._settings.routes},
            orders_port=None if self._listener is None else self._listener.port,
            orders_folder=self._folder is not None,
        )
