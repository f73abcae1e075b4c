"""The outbox: what is signed is queued with the signature, claimed by one sender at a time, and never forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leukopy.review.records import Amendment, DeliveryKind, DeliveryState, Route, VoidCase
from leukopy.review.settings import Exchange
from leukopy.review.store import Forbidden, NotAllowed
from leukopy.review.store import tables as t
from leukopy.review.store.outbox import FIRST_PAUSE, LONGEST_PAUSE, pause_after

BOTH = Exchange(hl7_results="127.0.0.1:1", fhir_server="http://127.0.0.1:1/r4")


@pytest.fixture
def sending(station):
    return station.with_settings(exchange=BOTH)


def states(station, case):
    found = station.store.outbox.of_case(station.administrator, case.id)
    return [(one.route, one.kind, one.revision, one.state) for one in reversed(found)]


def amended(station, case):
    case = station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason="because"))
    return station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))


def later(station, **shift):
    """Let all pauses and leases be over."""
    with station.store.database.write() as db:
        for row in db.query(t.Delivery):
            row.next_attempt -= timedelta(**shift)
            row.lease = row.lease and row.lease - timedelta(**shift)


def test_only_what_is_signed_is_queued_once_on_each_route(sending):
    case = sending.classified()
    case = sending.store.signing.mark_reviewed(sending.reader, case.id, case.version)
    assert states(sending, case) == []
    case = sending.store.signing.sign(sending.reviewer, case.id, case.version, sending.content(case))
    assert sorted(states(sending, case)) == [
        (route, DeliveryKind.RESULT, 1, DeliveryState.WAITING) for route in (Route.FHIR, Route.HL7)
    ]


def test_a_station_without_receivers_queues_nothing(station):
    assert states(station, station.signed()) == []


def test_one_sender_has_it_until_its_lease_is_over_and_under_the_same_id(sending):
    sending.signed()
    first = sending.store.outbox.claim("one", Route.HL7)
    assert first.attempts == 1
    assert sending.store.outbox.claim("two", Route.HL7) is None
    assert sending.store.outbox.claim("two", Route.FHIR) is not None
    later(sending, minutes=3)  # the first sender was killed
    again = sending.store.outbox.claim("two", Route.HL7)
    assert (again.id, again.attempts) == (first.id, 2)
    sending.store.outbox.failed(first.id, "one", "too late", refused=True)
    sending.store.outbox.acknowledged(first.id, "AA")
    assert sending.store.outbox.claim("one", Route.HL7) is None
    assert sending.store.audit.verify().intact


def test_a_failed_attempt_waits_longer_each_time(sending):
    case = sending.signed()
    for attempt in (1, 2, 3):
        found = sending.store.outbox.claim("one", Route.HL7)
        assert found.attempts == attempt
        sending.store.outbox.failed(found.id, "one", "no answer", refused=False)
        assert sending.store.outbox.claim("one", Route.HL7) is None
        later(sending, hours=2)
    assert [pause_after(1), pause_after(2), pause_after(50)] == [FIRST_PAUSE, 2 * FIRST_PAUSE, LONGEST_PAUSE]
    assert (Route.HL7, DeliveryKind.RESULT, 1, DeliveryState.WAITING) in states(sending, case)


def test_a_refused_one_is_tried_again_by_hand_as_another_message(sending):
    case = sending.signed()
    found = sending.store.outbox.claim("one", Route.HL7)
    sending.store.outbox.failed(found.id, "one", "AE who is that", refused=True)
    later(sending, hours=2)
    assert sending.store.outbox.claim("one", Route.HL7) is None
    page = sending.store.outbox.page(sending.administrator)
    assert (page.refused, page.waiting) == (1, 1)
    again = sending.store.outbox.send_again(sending.reviewer, case.id, Route.HL7)
    assert again.id != found.id
    assert states(sending, case)[-1] == (Route.HL7, DeliveryKind.RESULT, 1, DeliveryState.WAITING)
    assert sending.store.outbox.claim("one", Route.HL7).id == again.id


def test_an_amendment_is_a_correction_in_place_of_what_still_waits(sending):
    case = sending.signed()
    found = sending.store.outbox.claim("one", Route.HL7)
    sending.store.outbox.acknowledged(found.id, "AA")
    case = amended(sending, case)
    assert sorted(states(sending, case)) == sorted(
        [
            (Route.HL7, DeliveryKind.RESULT, 1, DeliveryState.SENT),
            (Route.FHIR, DeliveryKind.RESULT, 1, DeliveryState.REPLACED),
            (Route.HL7, DeliveryKind.CORRECTION, 2, DeliveryState.WAITING),
            (Route.FHIR, DeliveryKind.CORRECTION, 2, DeliveryState.WAITING),
        ]
    )


def test_a_correction_waits_for_the_attempt_that_is_under_way(sending):
    case = sending.signed()
    found = sending.store.outbox.claim("one", Route.HL7)
    amended(sending, case)
    assert sending.store.outbox.claim("two", Route.HL7) is None
    sending.store.outbox.acknowledged(found.id, "AA")
    assert sending.store.outbox.claim("two", Route.HL7).kind is DeliveryKind.CORRECTION


def test_a_void_case_is_withdrawn_where_a_result_may_have_arrived(sending):
    case = sending.signed()
    lost = sending.store.outbox.claim("one", Route.HL7)
    sending.store.outbox.failed(lost.id, "one", "no answer", refused=False)
    case = sending.store.removal.void_case(sending.reviewer, case.id, VoidCase(version=case.version, reason="tube"))
    assert sorted(states(sending, case)) == sorted(
        [
            (Route.HL7, DeliveryKind.RESULT, 1, DeliveryState.REPLACED),
            (Route.FHIR, DeliveryKind.RESULT, 1, DeliveryState.REPLACED),
            (Route.HL7, DeliveryKind.WITHDRAWAL, 1, DeliveryState.WAITING),
        ]
    )
    with pytest.raises(NotAllowed, match="no result of it was sent"):
        sending.store.outbox.send_again(sending.reviewer, case.id, Route.FHIR)


def test_who_may_send_again_and_see_all(sending):
    case = sending.signed()
    with pytest.raises(Forbidden):
        sending.store.outbox.send_again(sending.reader, case.id, Route.HL7)
    with pytest.raises(Forbidden):
        sending.store.outbox.page(sending.reviewer)
    draft = sending.draft()
    with pytest.raises(NotAllowed, match="sign the case first"):
        sending.store.outbox.send_again(sending.reviewer, draft.id, Route.HL7)
    alone = sending.with_settings(exchange=Exchange())
    with pytest.raises(NotAllowed, match="sends no results"):
        alone.store.outbox.send_again(alone.reviewer, case.id, Route.HL7)


def test_erasure_takes_the_deliveries_with_it(sending):
    case = sending.signed()
    found = sending.store.outbox.claim("one", Route.HL7)
    sending.store.removal.erase(sending.administrator, [case.id], "request")
    sending.store.outbox.acknowledged(found.id, "AA")
    assert sending.store.outbox.page(sending.administrator).deliveries == ()
    assert sending.store.audit.verify().intact
