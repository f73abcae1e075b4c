"""Model against reader by day, reader, model and class; drift of slides; figures against a literal count."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from leukopy.evaluation.intervals import clopper_pearson
from leukopy.review.daily_quality import daily
from leukopy.review.records import DailyQuery, VoidCell
from leukopy.review.store import Forbidden
from leukopy.review.store import tables as t
from leukopy.review.store.quality import Distance
from leukopy.slides.laboratory_check import SlideDistance


def figures(station, **wanted):
    quality = station.store.quality
    return daily(
        quality.signed_counts(station.reviewer), quality.distances(station.reviewer), DailyQuery(**wanted)
    )  # fmt: skip


def signed(station, monkeypatch, day, *moves, void=None):
    """A case of six cells that is signed on a day, corrected before."""
    monkeypatch.setattr(t, "now", lambda: datetime(2026, 5, day, 12, tzinfo=UTC))
    case = station.classified()
    if moves:
        station.correct(station.reader, case, *moves)
    if void:
        cell = station.cell(case, void)
        station.store.removal.void_cell(station.reader, case.id, void, VoidCell(version=cell.version, reason="smudge"))
    case = station.store.cases.get(station.reader, case.id)
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    return station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))


def test_shares_by_day_reader_model_and_class(station, monkeypatch):
    signed(station, monkeypatch, 1, (1, "LY"), (2, "MO"))
    signed(station, monkeypatch, 1)
    signed(station, monkeypatch, 2, (1, "NEU"), void=3)  # not divided: it agrees with a segmented one
    signed(station, monkeypatch, 3, (2, "MO"))
    view = figures(station)
    assert [(one.name, one.cases, one.cells, one.agreed) for one in view.days] == [
        ("2026-05-01", 2, 12, 10), ("2026-05-02", 1, 5, 5), ("2026-05-03", 1, 6, 5),
    ]  # fmt: skip
    assert (view.days[0].low, view.days[0].high) == clopper_pearson(10, 12)
    assert [(one.name, one.cells, one.agreed) for one in view.readers] == [("Dr rita", 19, 19), ("Dr ron", 4, 1)]
    assert [(one.name, one.cells) for one in view.models] == [(f"colours {'c' * 12}", 23)]
    assert {one.name: (one.agreed, one.cells) for one in view.classes}["MO"] == (3, 5)
    ron = figures(station, reader="Dr ron", code="MO")
    assert [(one.name, one.agreed, one.cells) for one in ron.days] == [("2026-05-01", 0, 1), ("2026-05-03", 0, 1)]
    assert sum(one.cells for one in figures(station, seen_only=True).days) == 4
    assert figures(station, model="another").days == ()


def test_slides_drift_by_the_day_of_their_case(station):
    known = [(1, 0.4), (1, 0.8), (1, 1.5), (2, 2.0)]
    distances = [Distance(date(2026, 6, day), distance, distance > 1) for day, distance in known]
    found = daily([], distances, DailyQuery()).slides
    assert [(one.day.day, one.slides, one.median, one.greatest, one.unlike_training) for one in found] == [
        (1, 3, 0.8, 1.5, 1), (2, 1, 2.0, 2.0, 1),
    ]  # fmt: skip
    case = station.classified()
    station.store.predictions.set_slide_distance(case.id, SlideDistance(1.5, "Barcelona", 6))
    station.draft()
    assert station.store.quality.distances(station.reviewer) == (Distance(case.created.date(), 1.5, True),)


def test_readers_do_not_see_the_figures_of_others(station):
    for step in (station.store.quality.signed_counts, station.store.quality.distances):
        with pytest.raises(Forbidden):
            step(station.reader)
