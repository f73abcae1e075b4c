"""The work list through the API: planning, handing over, and word of changes."""

from __future__ import annotations

import asyncio

from leukopy.review.api import worklist
from support.coroutines import run_apart


def test_a_reader_plans_and_hands_over_own_cases_only(served, reader):
    case = reader.new_case(slide="mine", priority="urgent", due="2026-05-01")
    found = reader.get(f"/cases/{case}").json()
    assert (found["priority"], found["due"]) == ("urgent", "2026-05-01")
    planned = reader.post(f"/cases/{case}/plan", json={"version": found["version"], "priority": "emergency"})
    assert planned.json()["due"] is None
    eve = served.browser("eve")
    step = {"version": planned.json()["version"], "to": eve.get("/me").json()["user"]["id"]}
    assert eve.post(f"/cases/{case}/owner", json=step).status_code == 404  # unseen before it is handed over
    assert reader.post(f"/cases/{case}/owner", json=step).json()["owner"] == "Dr eve"
    assert eve.get(f"/cases/{case}").json()["owner"] == "Dr eve"
    assert reader.post(f"/cases/{case}/owner", json=step).status_code == 403
    stale = served.browser("rita").post(f"/cases/{case}/plan", json={"version": 1, "priority": "routine"})
    assert stale.status_code == 409
    assert stale.json()["current"]["owner"] == "Dr eve"


def test_a_search_names_a_view_and_an_order_that_there_are(reader):
    assert reader.post("/cases/search", json={"view": "mine", "sort": "due"}).status_code == 200
    for wrong in ({"view": "nobody's"}, {"sort": "password"}, {"descending": "perhaps"}):
        assert reader.post("/cases/search", json=wrong).status_code == 422


def test_every_change_is_told_and_nothing_of_its_content(served, reader, monkeypatch):
    monkeypatch.setattr(worklist, "_POLL", 0.01)
    monkeypatch.setattr(worklist, "_KEEP_ALIVE", 0.0)

    async def follow() -> list[str]:
        stream = worklist._stream(served.store, lambda: True)
        told = [await anext(stream), await anext(stream)]
        await asyncio.to_thread(reader.new_case, slide="a change", patient="Martin")
        while told[-1] != "event: changed\ndata: \n\n":
            told.append(await anext(stream))
        await stream.aclose()
        return told

    told = run_apart(follow())
    assert told[0] == "event: ready\ndata: \n\n"
    assert set(told[1:-1]) == {"event: alive\ndata: \n\n"}
    assert served.browser().get("/worklist/events").status_code == 401


def test_a_stream_ends_so_that_the_browser_shows_again_who_it_is(served, monkeypatch):
    monkeypatch.setattr(worklist, "_LONGEST", 0.0)

    async def all_of_it() -> list[str]:
        return [event async for event in worklist._stream(served.store, lambda: True)]

    assert run_apart(all_of_it())[-1] == "event: again\ndata: \n\n"
