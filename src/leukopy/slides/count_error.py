"""Limits of a differential from sampling and classification error together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Confusion, CountError
from leukopy.evaluation.count_error import DRAWS, draw_compositions, draw_shares
from leukopy.evaluation.intervals import LEVEL
from leukopy.slides.differential import Differential, Line
from leukopy.taxonomy import DISPLAY_ORDER, Place, find

_NOTHING: Mapping[str, int] = {}

_DOMINATES = 2**0.5
"""Ratio of the widths from which classification adds more variance than sampling."""


@dataclass(frozen=True)
class SlideError:
    """Classification error of one slide: the confusion between classes that applies to it."""

    error: CountError
    confusion: Confusion


def error_of_slide(error: CountError | None, survey: Mapping[str, Any]) -> SlideError | None:
    """The confusion of a slide: of the reference laboratory where its cells look like those, else of laboratories that
    the model has not seen; None where the model's card states none.

    Args:
        error: of the card.
        survey: `SlideSurvey.facts` of the slide; with too few cells for class means, its laboratory is unknown.
    """
    if error is None:
        return None
    surveyed = survey.get("class_cells") is not None
    home = error.home if surveyed and survey["foreign_probability"] < error.home_below else None
    return SlideError(error, home or error.unseen)


def with_total_limits(
    found: Differential, counts: Mapping[str, int], own: SlideError, seen: Mapping[str, int] = _NOTHING
) -> Differential:
    """The differential with ``total_low`` and ``total_high`` in each line: 95 % limits from both errors.

    They enclose the limits of sampling. The confusion varies between slides as it does between those that it was
    measured on (`evaluation.count_error`).

    Args:
        found: the differential of all cells.
        counts: cells by the model's class code, ``UNIDENTIFIED`` included.
        own: classification error of the slide.
        seen: further cells by class code, whose class a reader gave or confirmed: they have no classification error.
    """
    if not found.leukocytes:
        return found
    codes = (*own.error.classes, *(code for code in seen if code not in own.error.answers))
    drawn = _draw(codes, counts, own, seen)
    in_lines = {line.code for line in found.lines}
    leukocyte = np.array([code in in_lines or _is_leukocyte(code) for code in codes])
    shares = drawn / np.maximum(drawn[:, leukocyte].sum(axis=1, keepdims=True), 1e-9)
    limits = _limits((*found.lines, *found.beside), codes, shares)
    return replace(
        found,
        lines=tuple(_with_limits(line, limits, most=100.0) for line in found.lines),
        beside=tuple(_with_limits(line, limits) for line in found.beside),
        classification_error=own.confusion.fitted_on,
    )


def _draw(
    codes: tuple[str, ...], counts: Mapping[str, int], own: SlideError, seen: Mapping[str, int]
) -> NDArray[np.float64]:
    """Drawn numbers of cells of each code, (D, R)."""
    error, confusion = own.error, own.confusion
    answered = np.array([counts.get(code, 0) for code in error.answers])
    drawn = np.zeros((DRAWS, len(codes)))
    if answered.sum():
        found = draw_compositions(answered, np.array(confusion.shares), np.array(confusion.overdispersion))
        drawn[:, : len(error.classes)] = answered.sum() * found
    known = np.array([seen.get(code, 0) for code in codes])
    return drawn + known.sum() * draw_shares(known) if known.sum() else drawn


def _is_leukocyte(code: str) -> bool:
    return code in DISPLAY_ORDER and find(code).place is Place.DIFFERENTIAL


def _limits(
    lines: Sequence[Line], classes: tuple[str, ...], shares: NDArray[np.float64]
) -> dict[str, tuple[float, float]]:
    """Limits of the lines whose class is known, in percent of the leukocytes, by their code.

    Args:
        lines: the lines.
        classes: codes of the columns.
        shares: drawn compositions as shares of the leukocytes, (D, R).
    """
    columns = {
        line.code: [classes.index(code) for code in (line.code, *line.sums) if code in classes] for line in lines
    }
    known = [code for code, found in columns.items() if found]
    drawn = np.stack([shares[:, columns[code]].sum(axis=1) for code in known], axis=1)
    tail = (1 - LEVEL) / 2
    low, high = 100 * np.quantile(drawn, [tail, 1 - tail], axis=0)
    return dict(zip(known, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _with_limits(line: Line, limits: Mapping[str, tuple[float, float]], most: float = float("inf")) -> Line:
    """A line with both limits, the higher one at most ``most``; as it is where its class is unknown."""
    if line.code not in limits or line.low is None or line.high is None:
        return line
    low, high = limits[line.code]
    total_low, total_high = min(line.low, low), min(max(line.high, high), most)
    beyond = bool(line.reference and (total_high < line.reference[0] or total_low > line.reference[1]))
    dominates = total_high - total_low > _DOMINATES * (line.high - line.low)
    return replace(
        line,
        total_low=total_low,
        total_high=total_high,
        beyond_error=beyond,
        mainly_classification=dominates,
    )
