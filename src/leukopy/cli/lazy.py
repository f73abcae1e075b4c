"""Commands that are imported when they are run, so that the help of their group answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Entry:
    """A line in the help of a group."""

    leads_to: str | Mapping[str, Entry]
    """``module:name`` of a function or of a `typer.Typer`; or the entries of a further group."""
    summary: str
    panel: str | None = None


class LazyGroup(TyperGroup):
    """A group of entries."""

    entries: Mapping[str, Entry] = {}

    def __init__(self, *args: Any, entries: Mapping[str, Entry] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = {name: _command(name, entry) for name, entry in (entries or self.entries).items()}


class Deferred(TyperCommand):
    """Stands in the help for a command, and becomes it when it is run."""

    def __init__(self, name: str, where: str, **shown: Any) -> None:
        super().__init__(name, **shown)
        self._where = where

    def load(self) -> Any:
        """The command itself."""
        module, _, attribute = self._where.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(rich_markup_mode="markdown", add_completion=False)
            app.command(self.name)(found)
            found = app
        command = typer.main.get_command(found)
        command.name = self.name
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """The context of the command itself, with which click goes on."""
        return self.load().make_context(*args, **kwargs)


def _command(name: str, entry: Entry) -> Any:
    shown: Any = {"help": entry.summary, "rich_help_panel": entry.panel, "rich_markup_mode": "markdown"}
    if isinstance(entry.leads_to, str):
        return Deferred(name, entry.leads_to, **shown)
    return LazyGroup(name=name, entries=entry.leads_to, no_args_is_help=True, **shown)
