"""Scores of a detector against marked boxes.

A found box is right where it overlaps a marked one by at least half (IoU >= .5), each marked one once, the highest
score first (Everingham et al., "The Pascal Visual Object Classes challenge", IJCV 88, 2010). Average precision is the
area under the precision, made monotone, over the recall. Objects cut by the border, and those that the source leaves
open, are neither missed nor falsely found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.intervals import LEVEL, Estimate

OVERLAP = 0.5
"""Least overlap (IoU) of a found box with its marked one."""

Boxes = NDArray[np.float32]
"""(n, 4): left, top, width and height, in pixels."""


class Marked(NamedTuple):
    """Objects of one kind that a source marks on a picture."""

    boxes: Boxes
    open: NDArray[np.bool_]
    """(n,): neither missed nor needed, as objects cut by the border."""


class Matched(NamedTuple):
    """Found objects of one kind on a picture, against the marked ones."""

    scores: NDArray[np.float32]
    """(m,): of the found objects that are judged."""
    right: NDArray[np.bool_]
    """(m,)"""
    wanted: int
    """Marked objects that are not open."""


@dataclass(frozen=True)
class Scores:
    """Scores of one kind over pictures, with 95 % intervals."""

    pictures: int
    wanted: int
    average_precision: Estimate
    recall: Estimate
    """At ``false_per_picture`` or fewer false boxes per picture."""
    false_per_picture: float
    threshold: float | None
    """Score at which that recall is reached; None where the first found objects are already too often false."""


def overlaps(first: Boxes, second: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intersection over union, and over the area of ``first``, of boxes (n, 4) and (m, 4): both (n, m)."""
    ends, others = first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:]
    common = np.minimum(ends[:, None], others) - np.maximum(first[:, None, :2], second[:, :2])
    shared = common.clip(min=0).prod(axis=2).astype(np.float64)
    area, other = first[:, 2:].prod(axis=1)[:, None], second[:, 2:].prod(axis=1)
    return shared / (area + other - shared).clip(min=1e-9), shared / area.clip(min=1e-9)


def cut_by_border(boxes: Boxes, size: tuple[int, int], share: float = 0.005) -> NDArray[np.bool_]:
    """Boxes (n, 4) that end at the border of a picture of ``size`` (width, height), within a share of its width."""
    near = max(2.0, share * size[0])
    return np.asarray(
        (boxes[:, :2] <= near).any(axis=1) | (boxes[:, :2] + boxes[:, 2:] >= np.array(size) - near).any(axis=1)
    )


def match(found: Boxes, scores: NDArray[np.float32], marked: Marked, at_border: NDArray[np.bool_]) -> Matched:
    """Match found boxes with the marked ones of a picture.

    Args:
        found: (n, 4).
        scores: (n,).
        marked: of the same kind.
        at_border: (n,), found boxes that end at the border: without a marked box they are not judged.
    """
    order = np.argsort(-scores, kind="stable")
    shared, inside = overlaps(found, marked.boxes)
    free = np.ones(len(marked.boxes), bool)
    judged, right = np.ones(len(found), bool), np.zeros(len(found), bool)
    for index in order:
        fitting = np.where(free & (shared[index] >= OVERLAP), shared[index] - marked.open, -1.0)
        best = int(fitting.argmax()) if len(fitting) else -1
        if best >= 0 and shared[index, best] >= OVERLAP and free[best]:
            free[best] = False
            right[index] = not marked.open[best]
            judged[index] = not marked.open[best]
        else:
            judged[index] = not (at_border[index] or (marked.open & (inside[index] >= OVERLAP)).any())
    kept = order[judged[order]]
    return Matched(scores[kept], right[kept], int((~marked.open).sum()))


def score(
    matched: Sequence[Matched], *, false_per_picture: float = 0.1, replicates: int = 1000, seed: int = 0
) -> Scores:
    """Average precision and recall over pictures; the intervals are bootstrapped by picture.

    Args:
        matched: one per picture.
        false_per_picture: falsely found objects per picture that are accepted.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    scores = np.concatenate([each.scores for each in matched] or [np.empty(0, np.float32)])
    right = np.concatenate([each.right for each in matched] or [np.empty(0, bool)])
    picture = np.repeat(np.arange(len(matched)), [len(each.scores) for each in matched])
    order = np.argsort(-scores, kind="stable")
    scores, right, picture = scores[order], right[order], picture[order]
    wanted = np.array([each.wanted for each in matched])
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(matched), np.full(len(matched), 1 / len(matched)), replicates)
    drawn = [_curve(scores, right, row[picture], row @ wanted, false_per_picture * len(matched)) for row in weights]
    precision, recall, threshold = _curve(
        scores, right, np.ones(len(scores), int), int(wanted.sum()), false_per_picture * len(matched)
    )
    tails = [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2]
    limits = np.nanpercentile([pair[:2] for pair in drawn], tails, axis=0)
    return Scores(
        len(matched),
        int(wanted.sum()),
        Estimate.of(precision, *limits[:, 0]),
        Estimate.of(recall, *limits[:, 1]),
        false_per_picture,
        threshold if np.isfinite(threshold) else None,
    )


def middle_threshold(matched: Sequence[Matched], *, false_per_picture: float = 0.1) -> float | None:
    """Middle of the scores that find the same marked objects as the one at which ``false_per_picture`` are false; None
    where the first found objects are already too often false.

    A detector that errs rarely reaches that share of false ones with a score so low that a picture unlike these shows
    many more of them; the highest such score would miss an object that is a little less clear.
    """
    low = score(matched, false_per_picture=false_per_picture, replicates=1).threshold
    if low is None:
        return None
    right = np.concatenate([each.scores[each.right] for each in matched])
    return float((low + right[right >= low].min(initial=1.0)) / 2)


def _curve(
    scores: NDArray[np.float32], right: NDArray[np.bool_], weights: NDArray[np.int64], wanted: int, most_false: float
) -> tuple[float, float, float]:
    """Average precision, recall at most ``most_false`` false boxes, and the score of that point."""
    if wanted == 0:
        return float("nan"), float("nan"), float("inf")
    hits, misses = np.cumsum(weights * right), np.cumsum(weights * ~right)
    recall = hits / wanted
    precision = hits / np.maximum(hits + misses, 1)
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    average = float((np.diff(recall, prepend=0) * monotone).sum())
    allowed = int(np.searchsorted(misses, most_false, side="right"))
    if allowed == 0:
        return average, 0.0, float("inf")
    return average, float(recall[allowed - 1]), float(scores[allowed - 1])


def best_threshold(matched: Sequence[Matched]) -> float:
    """The score at which the harmonic mean of precision and recall over pictures is highest."""
    scores = np.concatenate([each.scores for each in matched])
    right = np.concatenate([each.right for each in matched])
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    if not hits.size or not hits[-1]:
        return 1.0
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + sum(each.wanted for each in matched))
    return float(scores[order][int(f1.argmax())])
