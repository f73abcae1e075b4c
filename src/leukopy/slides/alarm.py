"""Alarm of a slide with blasts: number, share with limits, and a sentence that stands before all others.

A slide without a called blast is no slide without blasts: the sentence says how many cells were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.evaluation.intervals import clopper_pearson


class AlarmSettings(Settings):
    """When blasts raise the alarm: a single sure one, or a share beyond sampling error."""

    probability: float = Field(default=0.9, gt=0, le=1)
    """Minimum probability at which a single blast raises the alarm."""
    share: float = Field(default=1.0, ge=0, lt=100)
    """Share of blasts, in % of the leukocytes, that the lower 95 % limit must exceed to raise the alarm."""


@dataclass(frozen=True)
class BlastAlarm:
    """Blasts of a slide."""

    raised: bool
    blasts: int
    sure: int
    """Blasts with `AlarmSettings.probability` or more."""
    leukocytes: int
    """Leukocytes of the differential, the blasts among them."""
    percent: float | None
    """Share of the leukocytes; None without leukocytes."""
    low: float | None
    """Lower exact 95 % limit of it."""
    high: float | None
    total_low: float | None
    """Lower 95 % limit from sampling and classification together; None where the model's card states no such error."""
    total_high: float | None
    message: str
    """One sentence for the reader of the count; first among the notes where the alarm is raised."""


def blast_alarm(
    blasts: int,
    sure: int,
    leukocytes: int,
    settings: AlarmSettings | None = None,
    total: tuple[float, float] | None = None,
) -> BlastAlarm:
    """The alarm of a slide.

    The limit of sampling alone decides: it is the earlier to warn. The sentence states the wider limits.

    Args:
        blasts: cells counted as blasts.
        sure: those among them with ``settings.probability`` or more.
        leukocytes: all leukocytes, blasts included.
        settings: of the laboratory.
        total: 95 % limits of their share from sampling and classification together, in %.
    """
    settings = settings or AlarmSettings()
    if not leukocytes:
        return BlastAlarm(False, 0, 0, 0, None, None, None, None, None, "")
    low, high = (100 * limit for limit in clopper_pearson(blasts, leukocytes))
    percent = 100 * blasts / leukocytes
    raised = sure > 0 or low > settings.share
    total_low, total_high = total or (None, None)
    said_low, said_high = total or (low, high)
    errors = "sampling and classification" if total else "sampling alone"
    found = (
        f"{blasts} of {leukocytes} leukocytes ({percent:.1f} %, 95 % limits from {errors} {said_low:.1f} to "
        f"{said_high:.1f})"
    )
    if raised:
        message = (
            f"Blasts: {found}, {sure} of them with a probability of {100 * settings.probability:g} % or more. Look at "
            "these cells before the count is used."
        )
    elif blasts:
        message = f"Possible blasts, below the threshold of the alarm: {found}. Look at these cells."
    else:
        message = (
            f"No blast was found among {leukocytes} leukocytes (upper 95 % limit from {errors} {said_high:.1f} %). "
            "This does not exclude blasts."
        )
    return BlastAlarm(raised, blasts, sure, leukocytes, percent, low, high, total_low, total_high, message)
