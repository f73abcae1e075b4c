"""The differential of a case, by the readers' classes.

`slides.differential` computes percentages, exact limits, ranges and flags. This module adds the laboratory's own
classes, the target, absolute counts from the leukocyte count entered (without erythroblasts), ranges by age and sex,
and the cells that are not counted. Parts of a sum whose cells were not divided have no share: a zero would be false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leukopy.review.attention import look_at
from leukopy.review.case_notes import LYMPHOCYTES, notes
from leukopy.review.plausibility import corrected_leukocytes
from leukopy.review.ranges import UsualRanges, usual_ranges
from leukopy.review.records import Case, CaseDraft, CellRow, ClassChoice, DifferentialLine, DifferentialView
from leukopy.review.records.not_counted import NAMES
from leukopy.review.settings import ReviewSettings
from leukopy.slides.count_error import SlideError, with_total_limits
from leukopy.slides.differential import Differential, Line, differential
from leukopy.taxonomy import CellClass, Place, find

LEUKOCYTES = "WBC"
"""Code of the leukocytes of the blood in the absolute ranges."""

ERYTHROBLAST = "ERB"
"""Code of the nucleated red cells, which analysers count among the leukocytes."""

Range = tuple[float, float]


def count_case(
    cells: Sequence[CellRow],
    classes: Sequence[ClassChoice],
    case: Case,
    settings: ReviewSettings,
    language: Literal["en", "fr"] = "en",
    error: SlideError | None = None,
) -> DifferentialView:
    """The differential of a case.

    Args:
        cells: its analysed cells.
        classes: the classes a reader may give; of them the laboratory's own are needed.
        case: its leukocyte count (10⁹/L) gives the absolute counts, its target the first note.
        settings: the laboratory's ranges, in % and in 10⁹/L.
        language: of the notes; the lines bear both names.
        error: classification error of the model on this slide, for the cells that no reader has seen.

    Raises:
        SettingsError: a cell's class is neither in the taxonomy nor the laboratory's own, or a range is none.
    """
    own = own_classes(classes)
    counts = Counter(cell.code for cell in cells if cell.code and cell.not_counted is None)
    found, lines = _count(counts, own, case, settings)
    found = with_total_limits(found, *_unseen_and_seen(cells, error)) if error else found
    leukocytes = lines.leukocytes
    return DifferentialView(
        cells=found.cells,
        leukocytes=found.leukocytes,
        target=case.target,
        lines=tuple(map(lines.shown, found.lines)),
        beside=tuple(map(lines.shown, found.beside)),
        outside=tuple(_counted(code, count, own) for code, count in found.outside.items()),
        not_counted=not_counted_lines(cells),
        notes=notes(case, cells, found.leukocytes, language, leukocytes),
        reference_name=found.reference_name,
        looked=look_at(cells),
        total=lines.total(found.leukocytes),
        lymphocytes=_lymphocytes(counts, found.leukocytes, leukocytes),
    )


def abnormal_values(
    counts: Mapping[str, int], own: Mapping[str, CellClass], case: CaseDraft, settings: ReviewSettings
) -> int:
    """Number of values outside their usual range: shares whose limits are outside too, and absolute counts.

    Args:
        counts: counted cells by class code.
        own: the laboratory's own classes, by code.
        case: its age and sex give the ranges, its leukocyte count (10⁹/L) the absolute counts.
        settings: the laboratory's ranges.

    Raises:
        SettingsError: as `count_case`.
    """
    found, lines = _count(counts, own, case, settings)
    shown = [*map(lines.shown, (*found.lines, *found.beside)), lines.total(found.leukocytes)]
    return sum(
        (line.flag in ("L", "H") and line.beyond_error) or line.absolute_flag in ("L", "H") for line in shown if line
    )


@dataclass(frozen=True)
class _Lines:
    """What the lines of a count have in common."""

    own: Mapping[str, CellClass]
    usual: UsualRanges
    leukocytes: float | None
    """Of the blood, 10⁹/L."""
    undivided: frozenset[str]

    def shown(self, line: Line) -> DifferentialLine:
        """A line with its absolute count."""
        blank = line.code in self.undivided
        absolute = None
        if not blank and self.leukocytes is not None and line.percent is not None:
            absolute = self.leukocytes * line.percent / 100
        usual = self.usual.absolute.get(line.code) if absolute is not None else None
        return DifferentialLine(
            code=line.code,
            name=line.name,
            french=_french(line.code, self.own),
            count=line.count,
            percent=None if blank else line.percent,
            low=None if blank else line.low,
            high=None if blank else line.high,
            reference=line.reference,
            flag=None if blank else line.flag,
            beyond_error=line.beyond_error and not blank,
            total_low=None if blank else line.total_low,
            total_high=None if blank else line.total_high,
            mainly_classification=line.mainly_classification and not blank,
            sums=line.sums,
            undivided=blank,
            absolute=absolute,
            absolute_reference=usual,
            absolute_flag=_flag(absolute, usual),
        )

    def total(self, counted: int) -> DifferentialLine | None:
        """The leukocytes of the blood; None where none were entered."""
        if self.leukocytes is None:
            return None
        return _total(counted, self.leukocytes, self.usual.absolute.get(LEUKOCYTES))


def _count(
    counts: Mapping[str, int], own: Mapping[str, CellClass], case: CaseDraft, settings: ReviewSettings
) -> tuple[Differential, _Lines]:
    usual = usual_ranges(case, settings)
    found = differential(counts, ranges=usual.relative, own=tuple(own.values()))
    undivided = {part for line in found.lines if line.sums and counts.get(line.code) for part in line.sums}
    return found, _Lines(own, usual, _leukocytes(case, counts, found.leukocytes), frozenset(undivided))


def _leukocytes(case: CaseDraft, counts: Mapping[str, int], counted: int) -> float | None:
    """Leukocytes of the blood, 10⁹/L, without the erythroblasts that were counted among them."""
    if case.leukocytes is None or case.leukocytes_corrected or not counted:
        return case.leukocytes
    return corrected_leukocytes(case.leukocytes, 100 * counts.get(ERYTHROBLAST, 0) / counted)


def _lymphocytes(counts: Mapping[str, int], counted: int, leukocytes: float | None) -> float | None:
    """Lymphocytes of the blood, 10⁹/L, from the leukocytes and the share counted."""
    if leukocytes is None or not counted:
        return None
    return leukocytes * sum(counts[code] for code in LYMPHOCYTES) / counted


def _unseen_and_seen(cells: Sequence[CellRow], error: SlideError) -> tuple[Counter[str], SlideError, Counter[str]]:
    """Cells by class that the model alone has judged, unidentified ones too, and those that a reader has seen."""
    unseen: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for cell in cells:
        if cell.code and cell.not_counted in (None, "unidentified"):
            by_reader = cell.seen_by is not None or cell.code != cell.model_code
            (seen if by_reader else unseen)[cell.code] += 1
    return unseen, error, seen


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
