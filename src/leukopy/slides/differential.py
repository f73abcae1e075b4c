"""The differential count: class codes to percentages with exact limits and reference ranges.

Conventions of the field (CLSI H20-A2; Rümke 1960): percentages are of the leukocytes; erythroblasts, smudge cells and
giant platelets are given per 100 leukocytes beside them; platelets are never part of the 100 %.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, field_validator

from leukopy.core.settings import Settings
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.inference.rows import DUPLICATE
from leukopy.slides.alarm import BlastAlarm
from leukopy.taxonomy import COARSE, DISPLAY_ORDER, FINE, CellClass, Place, find, fine_members

MANUAL_COUNT = 100
"""Leukocytes of the usual manual differential; with fewer, the limits are too wide to rely on."""

_ALWAYS = frozenset(cell.code for cell in FINE)
"""Classes listed even with a count of 0."""

_SUMS = {
    total.code: parts
    for total in COARSE
    if len(parts := tuple(FINE[index].code for index in fine_members(total.code))) > 1
}
"""Neutrophils and immature granulocytes, each a sum of fine classes."""


class ReferenceRanges(Settings):
    """Lowest and highest usual share of leukocytes, in %, by class code. A laboratory sets its own here."""

    name: str = "Adults, relative"
    ranges: dict[str, tuple[float, float]] = Field(
        default={"NEU": (40, 60), "EO": (1, 4), "BA": (0.5, 1), "LY": (20, 40), "MO": (2, 8)}
    )

    @field_validator("ranges")
    @classmethod
    def _check(cls, ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        known = {*DISPLAY_ORDER, *_SUMS}
        for code, (low, high) in ranges.items():
            if code not in known:
                raise ValueError(f"class code {code!r} is unknown; known: {', '.join(sorted(known))}")
            if not 0 <= low <= high <= 100:
                raise ValueError(f"{code}: a range goes from a lower to a higher share, 0 to 100 %")
        return ranges


@dataclass(frozen=True)
class Line:
    """One line of a differential."""

    code: str
    name: str
    count: int
    percent: float | None
    """Percentage of the leukocytes, or number per 100 leukocytes; None without leukocytes."""
    low: float | None
    """Lower exact 95 % limit of sampling, same unit."""
    high: float | None
    expected: float | None = None
    """The same share from the summed probabilities of all cells, where given."""
    sums: tuple[str, ...] = ()
    """Classes summed in this line; empty for a class of its own."""
    reference: tuple[float, float] | None = None
    flag: Literal["L", "N", "H"] | None = None
    """Below, within or above the reference range; None without a range."""
    beyond_error: bool = False
    """The whole 95 % interval lies outside the range: more than the stated error."""
    total_low: float | None = None
    """Lower 95 % limit of sampling and classification error together (`slides.count_error`); None where not stated."""
    total_high: float | None = None
    mainly_classification: bool = False
    """Classification adds more variance to the total limits than sampling."""


@dataclass(frozen=True)
class Differential:
    """The differential count of a slide."""

    cells: int
    """All classified cells, platelets included."""
    leukocytes: int
    """The 100 %."""
    uncertain: int
    """Cells whose class is uncertain; they are counted nevertheless."""
    lines: tuple[Line, ...]
    """The 100 %, in display order; the sum of neutrophils and of immature granulocytes after their parts."""
    beside: tuple[Line, ...]
    """Per 100 leukocytes: erythroblasts and other cells counted beside the 100 %."""
    outside: dict[str, int]
    """Counts of cells outside both (platelets, artefacts), by class code."""
    notes: tuple[str, ...]
    """Warnings for the reader of the count."""
    reference_name: str
    alarm: BlastAlarm | None = None
    """Blasts of the slide; None where the model does not answer them, or without a differential."""
    refused: str = ""
    """Reason for a missing differential; empty where there is one."""
    classification_error: str = ""
    """Cells behind the classification error in the total limits; empty: the limits state sampling error alone."""


LeftOut = Mapping[tuple[str, str], int]
"""Excluded pictures, by flag (`inference.rows.LEFT_OUT`) and cause in words."""

TRUSTED = 20
"""Number of cells from which a slide has a differential, for any number of pictures without a cell."""


def no_differential(trusted: int, left_out: LeftOut, *, located: bool = False) -> str:
    """Reason for a missing differential; empty where there is one.

    Args:
        trusted: cells whose class is counted.
        left_out: excluded pictures, including unidentified cells.
        located: the cells were located on fields.
    """
    others = {(flag, why): count for (flag, why), count in left_out.items() if flag != DUPLICATE}
    pictures = sum(others.values())
    if located and not trusted and not pictures:
        return "No differential: no leukocyte was found on the fields in use. Photograph more fields."
    if trusted >= TRUSTED or pictures <= trusted:
        return ""
    flag, why = max(others, key=lambda key: others[key])
    what = "located cells can be" if located else "pictures show a cell that can be"
    remedy = "Photograph more fields" if located else "Take the slide's pictures again, one centred cell in each"
    return (
        f"No differential: only {trusted} of {trusted + pictures} {what} trusted. Most of the others are: "
        f"{why or flag.replace('_', ' ')}. {remedy}."
    )


def refuse(reason: str, ranges: ReferenceRanges | None = None, *, notes: Sequence[str] = ()) -> Differential:
    """A slide without a differential: no cell is counted, and the reason is the first note.

    Args:
        reason: the reason.
        ranges: the laboratory's reference ranges.
        notes: further warnings.
    """
    return replace(differential({}, ranges=ranges), notes=(reason, *notes), refused=reason)


def differential(
    counts: Mapping[str, int],
    *,
    uncertain: int = 0,
    expected: Mapping[str, float] | None = None,
    ranges: ReferenceRanges | None = None,
    own: Sequence[CellClass] = (),
    answered: Sequence[str] = (),
) -> Differential:
    """The differential of a slide.

    Args:
        counts: cells by class code, fine or outside (``collections.Counter(codes)``); ``NEU`` and ``IG`` are cells
            without a finer class.
        uncertain: number of cells flagged uncertain.
        expected: summed probabilities by fine class code, where known.
        ranges: the laboratory's reference ranges; the default is for adults.
        own: the laboratory's own classes; each comes after the taxonomy's of its place, where it is counted.
        answered: classes outside that the model answers: they are listed with a count of 0 too.

    Raises:
        SettingsError: a code that is neither in the taxonomy nor in ``own``.
    """
    ranges = ranges or ReferenceRanges()
    classes = {code: find(code) for code in (*DISPLAY_ORDER, *_SUMS)}
    classes |= {cell.code: cell for cell in own if cell.code not in classes}
    place = {code: (classes.get(code) or find(code)).place for code in counts}
    leukocytes = sum(count for code, count in counts.items() if place[code] is Place.DIFFERENTIAL)
    shares = _expected_shares(expected)
    always = _ALWAYS | set(answered)
    lines = tuple(
        _line(classes[code], sums, sum(counts.get(part, 0) for part in (code, *sums)), leukocytes, shares, ranges)
        for code, sums in _rows(counts, classes, always)
    )
    cells = sum(counts.values())
    return Differential(
        cells=cells,
        leukocytes=leukocytes,
        uncertain=uncertain,
        lines=lines,
        beside=tuple(
            _beside(classes[code], counts.get(code, 0), leukocytes, shares)
            for code in _listed(Place.PER_100_LEUKOCYTES, counts, classes, always)
        ),
        outside={code: counts.get(code, 0) for code in _listed(Place.OUTSIDE, counts, classes, always)},
        notes=_notes(cells, leukocytes, uncertain),
        reference_name=ranges.name,
    )


def _listed(
    place: Place, counts: Mapping[str, int], classes: Mapping[str, CellClass], always: Collection[str]
) -> list[str]:
    """Codes of one place in display order, then a laboratory's own; outside the fine classes only where counted."""
    return [
        code
        for code, cell in classes.items()
        if cell.place is place and code not in _SUMS and (code in always or counts.get(code))
    ]


def _rows(
    counts: Mapping[str, int], classes: Mapping[str, CellClass], always: Collection[str]
) -> list[tuple[str, tuple[str, ...]]]:
    """The 100 % in display order; each sum follows its last part."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    for code in _listed(Place.DIFFERENTIAL, counts, classes, always):
        rows.append((code, ()))
        rows.extend((total, parts) for total, parts in _SUMS.items() if parts[-1] == code)
    return rows


def _expected_shares(expected: Mapping[str, float] | None) -> dict[str, float]:
    """Summed probabilities as shares of the expected leukocytes, in %; empty where unknown."""
    if not expected:
        return {}
    leukocytes = sum(value for code, value in expected.items() if find(code).place is Place.DIFFERENTIAL)
    if leukocytes <= 0:
        return {}
    fine = {cell.code: 0.0 for cell in FINE}
    return {code: 100 * value / leukocytes for code, value in {**fine, **expected}.items()}


def _line(
    cell: CellClass,
    sums: tuple[str, ...],
    count: int,
    leukocytes: int,
    shares: Mapping[str, float],
    ranges: ReferenceRanges,
) -> Line:
    code, name = cell.code, cell.name
    expected = sum(shares[part] for part in sums or (code,)) if shares and (sums or code in shares) else None
    reference = ranges.ranges.get(code)
    if not leukocytes:
        return Line(code, name, count, None, None, None, expected, sums, reference)
    percent = 100 * count / leukocytes
    low, high = (100 * limit for limit in clopper_pearson(count, leukocytes))
    flag: Literal["L", "N", "H"] | None = None
    beyond = False
    if reference:
        flag = "L" if percent < reference[0] else "H" if percent > reference[1] else "N"
        beyond = high < reference[0] or low > reference[1]
    return Line(code, name, count, percent, low, high, expected, sums, reference, flag, beyond)


def _beside(cell: CellClass, count: int, leukocytes: int, shares: Mapping[str, float]) -> Line:
    """A line per 100 leukocytes.

    Its limits are the exact limits of the share ``count`` of ``count + leukocytes``, as odds, i.e. of the ratio of two
    Poisson counts (Przyborowski and Wilenski, Biometrika 31, 1940).
    """
    code, name, expected = cell.code, cell.name, shares.get(cell.code)
    if not leukocytes:
        return Line(code, name, count, None, None, None, expected)
    low, high = (100 * limit / (1 - limit) for limit in clopper_pearson(count, count + leukocytes))
    return Line(code, name, count, 100 * count / leukocytes, low, high, expected)


def _notes(cells: int, leukocytes: int, uncertain: int) -> tuple[str, ...]:
    notes = []
    if not leukocytes:
        notes.append("No leukocyte was found: there is no differential.")
    elif leukocytes < MANUAL_COUNT:
        notes.append(
            f"Only {leukocytes} leukocytes, fewer than the {MANUAL_COUNT} of a manual count: the limits are wide."
        )
    if uncertain:
        notes.append(
            f"{uncertain} of {cells} cells are uncertain; they are counted in their most probable class. "
            "Check them first."
        )
    return tuple(notes)
