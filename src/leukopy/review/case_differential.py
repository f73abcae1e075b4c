"""The differential of a case, by the readers' classes.

`slides.differential` computes percentages, exact limits, ranges and flags. This module adds the laboratory's own
classes, the target, absolute counts from the leukocyte count entered, and the cells that are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from leukopy.review.attention import look_at
from leukopy.review.case_notes import notes
from leukopy.review.records import Case, CellRow, ClassChoice, DifferentialLine, DifferentialView
from leukopy.review.records.not_counted import NAMES
from leukopy.review.settings import ReviewSettings
from leukopy.slides.differential import Line, ReferenceRanges, differential
from leukopy.taxonomy import CellClass, Place, find

LEUKOCYTES = "WBC"
"""Code of the leukocytes of the blood in the absolute ranges."""

Range = tuple[float, float]


def count_case(
    cells: Sequence[CellRow],
    classes: Sequence[ClassChoice],
    case: Case,
    settings: ReviewSettings,
    language: Literal["en", "fr"] = "en",
) -> DifferentialView:
    """The differential of a case.

    Args:
        cells: its analysed cells.
        classes: the classes a reader may give; of them the laboratory's own are needed.
        case: its leukocyte count (10⁹/L) gives the absolute counts, its target the first note.
        settings: the laboratory's ranges, in % and in 10⁹/L.
        language: of the notes; the lines bear both names.

    Raises:
        SettingsError: a cell's class is neither in the taxonomy nor the laboratory's own, or a range is none.
    """
    own = own_classes(classes)
    ranges = ReferenceRanges.build(settings.reference, where="reference")
    counts = Counter(cell.code for cell in cells if cell.code and cell.not_counted is None)
    found = differential(counts, ranges=ranges, own=tuple(own.values()))
    leukocytes = case.leukocytes

    def shown(line: Line) -> DifferentialLine:
        absolute = None if leukocytes is None or line.percent is None else leukocytes * line.percent / 100
        usual = settings.absolute.get(line.code) if absolute is not None else None
        return DifferentialLine(
            code=line.code,
            name=line.name,
            french=_french(line.code, own),
            count=line.count,
            percent=line.percent,
            low=line.low,
            high=line.high,
            reference=line.reference,
            flag=line.flag,
            beyond_error=line.beyond_error,
            sums=line.sums,
            absolute=absolute,
            absolute_reference=usual,
            absolute_flag=_flag(absolute, usual),
        )

    return DifferentialView(
        cells=found.cells,
        leukocytes=found.leukocytes,
        target=case.target,
        lines=tuple(map(shown, found.lines)),
        beside=tuple(map(shown, found.beside)),
        outside=tuple(_counted(code, count, own) for code, count in found.outside.items()),
        not_counted=not_counted_lines(cells),
        notes=notes(case, cells, found.leukocytes, language),
        reference_name=found.reference_name,
        looked=look_at(cells),
        total=None if leukocytes is None else _total(found.leukocytes, leukocytes, settings.absolute.get(LEUKOCYTES)),
    )


def not_counted_lines(cells: Sequence[CellRow]) -> tuple[DifferentialLine, ...]:
    """A line for each reason for which cells are not counted, with their number."""
    reasons = Counter(cell.not_counted for cell in cells)
    return tuple(
        DifferentialLine(
            code=reason.upper(), name=name, french=french, count=reasons[reason], percent=None, low=None, high=None
        )
        for reason, (name, french) in NAMES.items()
        if reasons[reason]
    )


def own_classes(classes: Sequence[ClassChoice]) -> dict[str, CellClass]:
    """The laboratory's own among the classes that a reader may give, by code."""
    return {
        one.code: CellClass(one.code, one.name, one.french, None, Place(one.place), one.colour)
        for one in classes
        if one.own
    }


def _counted(code: str, count: int, own: Mapping[str, CellClass]) -> DifferentialLine:
    """A line of what is only counted."""
    name = (own.get(code) or find(code)).name
    return DifferentialLine(
        code=code, name=name, french=_french(code, own), count=count, percent=None, low=None, high=None
    )


def _total(counted: int, leukocytes: float, usual: Range | None) -> DifferentialLine:
    return DifferentialLine(
        code=LEUKOCYTES, name="leukocyte", french="leucocyte", count=counted, percent=None, low=None, high=None,
        absolute=leukocytes, absolute_reference=usual, absolute_flag=_flag(leukocytes, usual),
    )  # fmt: skip


def _french(code: str, own: Mapping[str, CellClass]) -> str:
    return (own.get(code) or find(code)).french


def _flag(value: float | None, usual: Range | None) -> Literal["L", "N", "H"] | None:
    if value is None or usual is None:
        return None
    return "L" if value < usual[0] else "H" if value > usual[1] else "N"
