"""Progress of long work, reported to any display."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by a workflow as it advances; a door draws it (a bar, a web page, nothing)."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` (None: unknown) items of ``stage`` are finished."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Show nothing."""
