"""Named things with a card: datasets, backbones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from leukopy.core.errors import SettingsError

T = TypeVar("T")


class Registry(Generic[T]):
    """A set of named entries. Names are written by hand; an unknown one is an error that lists all."""

    def __init__(self, kind: str, entries: dict[str, T]) -> None:
        self.kind = kind
        self._entries = entries

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(self._entries)
            raise SettingsError(f"{self.kind} {name!r} is unknown; known: {known}.") from None

    def add(self, name: str, entry: T) -> None:
        """Add an entry of a program that uses leukopy.

        Raises:
            SettingsError: the name is taken.
        """
        if name in self._entries:
            raise SettingsError(f"{self.kind} {name!r} exists already. Choose another name.")
        self._entries[name] = entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Iterator[tuple[str, T]]:
        """Names and entries, in the order they are written."""
        yield from self._entries.items()
