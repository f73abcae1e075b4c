"""Sends what lies in the outbox: one thread for each route, so that a silent receiver holds up no other."""

from __future__ import annotations

from threading import Event, Thread
from uuid import uuid4

from leukopy.core.errors import LeukopyError
from leukopy.review.documents import Outgoing, fhir_transaction, hl7_message
from leukopy.review.documents.issue import issue
from leukopy.review.exchange.fhir_client import send_transaction
from leukopy.review.exchange.mllp import send_message
from leukopy.review.exchange.not_taken import NotTakenError
from leukopy.review.records import Delivery, DeliveryKind, Route
from leukopy.review.security.problems import log_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store, Unavailable

POLL = 2.0
"""Seconds between two looks at the outbox."""


class Sender:
    """Sends the deliveries of one route until it is stopped."""

    def __init__(self, store: Store, settings: ReviewSettings, route: Route) -> None:
        self._store = store
        self._settings = settings
        self._route = route
        self._name = uuid4().hex
        self._stopping = Event()
        self._thread = Thread(target=self._work, name=f"leukopy-{route.value}-results", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present delivery."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                delivery = self._store.outbox.claim(self._name, self._route)
                if delivery is not None:
                    self.deliver(delivery)
                    continue
            except Unavailable:
                pass  # the database comes back, or the page of the station's health tells
            # Without a thread no result would be sent any more: whatever happens, it goes on.
            except Exception as error:  # noqa: BLE001
                log_error(error)
            self._stopping.wait(POLL)

    def deliver(self, delivery: Delivery) -> None:
        """Make one attempt, and store how it ended."""
        try:
            answer = self._send(delivery)
        except NotTakenError as error:
            self._store.outbox.failed(delivery.id, self._name, str(error), refused=error.refused)
        except Unavailable:
            raise
        except LeukopyError as error:  # its content, or a setting, is at fault
            self._store.outbox.failed(delivery.id, self._name, str(error), refused=True)
        except Exception as error:  # noqa: BLE001  the next delivery is sent all the same
            self._store.outbox.failed(delivery.id, self._name, "The station failed; its log says where.", refused=True)
            log_error(error)
        else:
            self._store.outbox.acknowledged(delivery.id, answer)

    def _send(self, delivery: Delivery) -> str:
        outgoing = outgoing_of(self._store, delivery)
        exchange = self._settings.exchange
        if self._route is Route.HL7:
            message = hl7_message(outgoing, exchange.hl7_receiver)
            return send_message(str(exchange.hl7_results), message, delivery.id)
        bundle = fhir_transaction(outgoing, exchange.fhir_patients)
        return send_transaction(str(exchange.fhir_server), bundle, delivery.id, exchange.fhir_login)


def outgoing_of(store: Store, delivery: Delivery) -> Outgoing:
    """The result of a delivery, from the signed contents.

    Raises:
        NotFound: the case was erased.
        Damaged: what is stored is not what was signed.
    """
    case, contents = store.outbox.contents(delivery)
    withdrawn = delivery.kind is DeliveryKind.WITHDRAWAL
    issues = [
        issue(
            content,
            signatures=case.signatures,
            laboratory=store.settings.laboratory,
            voided=(case.void_reason or "void") if withdrawn else "",
        )
        for content in contents
    ]
    return Outgoing(delivery.id, delivery.kind, delivery.created, issues[-1], tuple(issues[:-1]))
