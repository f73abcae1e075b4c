"""Two slides of one patient: whether the share of a class differs more than sampling explains."""

from __future__ import annotations

from collections.abc import Sequence

import scipy  # its parts load on first use

from leukopy.review.records import Case, ComparedLine, Comparison, DifferentialLine, DifferentialView

LEVEL = 0.05


def compare(cases: tuple[Case, Case], views: tuple[DifferentialView, DifferentialView]) -> Comparison:
    """The lines of two counts side by side, with Fisher's exact test on the shares of the leukocytes.

    The classes of a slide are tested together, so that p is significant by Holm's procedure (Scandinavian Journal of
    Statistics 6, 1979).

    Args:
        cases: of one patient.
        views: their counts.
    """
    totals = (views[0].leukocytes, views[1].leukocytes)
    known = [{line.code: line for line in (*view.lines, *view.beside)} for view in views]
    order = list(dict.fromkeys(code for lines in known for code in lines))
    beside = {line.code for view in views for line in view.beside}
    lines = [_compared((known[0].get(code), known[1].get(code)), totals, tested=code not in beside) for code in order]
    tested = sorted((line.p, at) for at, line in enumerate(lines) if line.p is not None)
    for rank, (p, at) in enumerate(tested):
        if p > LEVEL / (len(tested) - rank):
            break
        lines[at] = lines[at].model_copy(update={"differs": True})
    return Comparison(cases=cases, leukocytes=totals, lines=tuple(lines))


def _compared(
    lines: tuple[DifferentialLine | None, DifferentialLine | None], totals: tuple[int, int], *, tested: bool
) -> ComparedLine:
    known = next(line for line in lines if line is not None)
    counts = (lines[0].count if lines[0] else 0, lines[1].count if lines[1] else 0)
    divided = not any(line is not None and line.undivided for line in lines)
    return ComparedLine(
        code=known.code,
        name=known.name,
        french=known.french,
        counts=counts,
        percents=(_percent(lines[0], totals[0]), _percent(lines[1], totals[1])),
        pooled=100 * sum(counts) / sum(totals) if any(totals) and divided else None,
        p=_fisher(counts, totals) if tested and divided and not known.sums and all(totals) and any(counts) else None,
        differs=False,
    )


def _percent(line: DifferentialLine | None, total: int) -> float | None:
    if line is None:
        return 0.0 if total else None
    return line.percent


def _fisher(counts: Sequence[int], totals: Sequence[int]) -> float:
    table = [[count, total - count] for count, total in zip(counts, totals, strict=True)]
    return float(scipy.stats.fisher_exact(table).pvalue)
