"""Cells that a reader looks at before a case is signed: which, why, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from leukopy.review.records import CellRow, LookReason
from leukopy.review.records.counts import Looked
from leukopy.review.records.not_counted import UNIDENTIFIED, not_counted
from leukopy.slides.review_order import STAGES, contradiction, review_ranks
from leukopy.taxonomy import BLASTS, FINE, outside_classes

CLOSE = 0.35
"""Difference of the probabilities of the first and the second class below which the second is close."""
CONTRADICTED = 0.5
"""Probability of an attribute that contradicts the class from which it is a reason to look."""
RARE = 2
"""Cells of a class on a slide up to which the class is rare: one error changes its count most."""
FEW = 50
"""Cells of a slide below which every class is rare."""


def _codes() -> tuple[str, ...]:
    """Codes of the classes that a model may answer."""
    return tuple(cell.code for cell in (*FINE, *outside_classes()))


class Judged(NamedTuple):
    """A cell as the model judged it."""

    number: int
    code: str | None
    flags: tuple[str, ...]
    probabilities: Mapping[str, float]
    attributes: Mapping[str, tuple[str, float]]


class Attention(NamedTuple):
    """Place of a cell in the order of the review, and why it is in the queue; no reason: it is not."""

    rank: int
    reasons: tuple[LookReason, ...]


def attention(cells: Sequence[Judged]) -> dict[int, Attention]:
    """Rank the cells of a slide and choose those to look at, by the model's judgement alone.

    Args:
        cells: all of a slide.

    Returns:
        By the number of the cell; those without a single cell, and duplicates, are left out.
    """
    frame = _frame(cells)
    ranks = review_ranks(frame.lazy())
    against = frame.select(contradiction()).to_series()
    counts = Counter(cell.code for cell in cells if not_counted(cell.code, cell.flags) is None)
    return {
        cell.number: Attention(rank, tuple(_reasons(cell, counts, contradicted)))
        for cell, rank, contradicted in zip(cells, ranks, against, strict=True)
        if rank is not None
    }


def look_at(cells: Sequence[CellRow]) -> Looked | None:
    """How many cells readers have seen; None: signed before cells could be confirmed."""
    ranked = [cell for cell in cells if cell.rank is not None]
    if not ranked:
        return None
    return Looked(
        cells=len(ranked),
        seen=sum(cell.seen_by is not None for cell in ranked),
        queue=sum(bool(cell.look) for cell in ranked),
        queue_seen=sum(bool(cell.look) and cell.seen_by is not None for cell in ranked),
        unidentified=sum(cell.model_code == UNIDENTIFIED for cell in ranked),
        unidentified_seen=sum(cell.model_code == UNIDENTIFIED and cell.seen_by is not None for cell in ranked),
    )


def _frame(cells: Sequence[Judged]) -> pl.DataFrame:
    """The columns that `review_ranks` reads."""
    columns: dict[str, list[object]] = {
        "fine": [cell.code for cell in cells],
        "flags": [";".join(cell.flags) for cell in cells],
        "attr_granularity": [cell.attributes.get("granularity", (None, None))[0] for cell in cells],
        "attr_granularity_p": [cell.attributes.get("granularity", (None, None))[1] for cell in cells],
    }
    columns |= {f"p_{code}": [cell.probabilities.get(code, 0.0) for cell in cells] for code in _codes()}
    text = dict.fromkeys(("fine", "flags", "attr_granularity"), pl.String())
    return pl.DataFrame(columns, schema={name: text.get(name, pl.Float64()) for name in columns})


def _reasons(cell: Judged, counts: Mapping[str | None, int], contradicted: float) -> Iterator[LookReason]:
    if cell.code == UNIDENTIFIED:
        yield "unidentified"
        return
    if cell.code in BLASTS:
        yield "critical"
    if "uncertain" in cell.flags:
        yield "uncertain"
    first, second = (*sorted(cell.probabilities.values(), reverse=True), 0.0, 0.0)[:2]
    if first - second < CLOSE:
        yield "close"
    if cell.code in STAGES:
        yield "stage"
    if contradicted > CONTRADICTED:
        yield "attributes"
    if counts[cell.code] <= RARE and sum(counts.values()) >= FEW:
        yield "rare"
