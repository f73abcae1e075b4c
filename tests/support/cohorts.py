"""Cohorts of patients as files: tables, and images that nobody opens."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from leukopy.patients.data import Cohort

CHALLENGE = "ID,LABEL,GENDER,DOB,LYMPH_COUNT"
BIRTH_DATES = ("1950", "28-03", "3/28", "1871", "2090")
"""What no message may hold: parts of the dates of birth of this file."""


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def images(root: Path, **counts: int) -> Path:
    """Empty files named as images: opening a cohort opens none."""
    for patient_id, count in counts.items():
        for number in range(count):
            write(root / patient_id / f"{number:06d}.jpg")
    return root


def reasons(cohort: Cohort) -> list[tuple[str | None, str]]:
    return list(cohort.problems.select("patient_id", "reason").iter_rows())


def assert_private(messages: Iterable[str]) -> None:
    for message in messages:
        assert not any(part in message for part in BIRTH_DATES), message
