"""Model against reader by day, reader, model version and class; and the drift of slides from the training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from leukopy.evaluation.intervals import clopper_pearson
from leukopy.review.agreement import alike
from leukopy.review.records import DailyQuery, DailyView, Share, SlideDay
from leukopy.review.store.quality import Distance, SignedCount


def daily(counts: Iterable[SignedCount], distances: Sequence[Distance], wanted: DailyQuery) -> DailyView:
    """The figures of the daily quality page.

    Args:
        counts: cells of signed cases.
        distances: of slides.
        wanted: which of the cells.
    """
    chosen = [one for one in counts if _is_wanted(one, wanted)]
    days = sorted({one.day for one in distances})
    return DailyView(
        days=_shares(chosen, lambda one: one.day.isoformat()),
        readers=_shares(chosen, lambda one: one.reader),
        models=_shares(chosen, lambda one: one.model),
        classes=_shares(chosen, lambda one: one.code),
        slides=tuple(_slide_day([one for one in distances if one.day == day]) for day in days),
    )


def _is_wanted(one: SignedCount, wanted: DailyQuery) -> bool:
    pairs = ((wanted.reader, one.reader), (wanted.model, one.model), (wanted.code, one.code))
    return all(value is None or value == found for value, found in pairs) and (one.seen or not wanted.seen_only)


def _shares(counts: Sequence[SignedCount], key: Callable[[SignedCount], str]) -> tuple[Share, ...]:
    groups: dict[str, list[SignedCount]] = {}
    for one in counts:
        groups.setdefault(key(one), []).append(one)
    return tuple(_share(name, groups[name]) for name in sorted(groups))


def _share(name: str, counts: Sequence[SignedCount]) -> Share:
    cells = sum(one.cells for one in counts)
    agreed = sum(one.cells for one in counts if alike(one.code, one.model_code))
    low, high = clopper_pearson(agreed, cells)
    cases = len({one.case_id for one in counts})
    return Share(name=name, cases=cases, cells=cells, agreed=agreed, low=low, high=high)


def _slide_day(distances: Sequence[Distance]) -> SlideDay:
    return SlideDay(
        day=distances[0].day,
        slides=len(distances),
        median=median(one.distance for one in distances),
        greatest=max(one.distance for one in distances),
        unlike_training=sum(one.unlike_training for one in distances),
    )
