"""Progress of long work, reported to any display."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Called by a workflow as it advances; a door draws it (a bar, a web page, nothing)."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` (None: unknown) items of ``stage`` are finished."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Show nothing."""


def counted(items: Iterable[T], progress: Progress, stage: str, total: int) -> Iterator[T]:
    """The items, each reported as done when the next one is asked for."""
    for done, item in enumerate(items):
        progress(stage, done, total)
        yield item
    progress(stage, total, total)
