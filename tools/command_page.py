"""The page of the command line, read from the commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

import typer

from leukopy.cli.lazy import Deferred
from leukopy.cli.main import app
from result_pages import cell

ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, path: str = "leukopy") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its name: ``leukopy patients predict``."""
    for name, listed in group.commands.items():
        command = opened(listed)
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def opened(command: Any) -> Any:
    """The command itself, where it is imported only when it is run."""
    return command.load() if isinstance(command, Deferred) else command


def groups(group: Any = ROOT, path: str = "leukopy") -> Iterator[tuple[str, Any]]:
    """Every group of commands that has options of its own."""
    for name, listed in group.commands.items():
        command = opened(listed)
        if isinstance(command, typer.core.TyperGroup):
            if [each for each in command.params if each.name != "help"]:
                yield f"{path} {name}", command
            yield from groups(command, f"{path} {name}")


def page() -> str:
    """Markdown: each command with its help, its examples and its options."""
    found = {**dict(commands()), **dict(groups())}
    text = [
        "# Command line",
        "",
        "`leukopy --help` lists the commands, and each of them answers `--help` with the text of this page.",
        "",
    ]
    for name in sorted(found):
        text += [f"## {name}", "", *_help(found[name]), "", *_parameters(found[name]), ""]
    return "\n".join(text)


def _help(command: Any) -> Iterator[str]:
    """The help, its command lines as blocks."""
    paragraphs = [" ".join(each.split()) for each in inspect.cleandoc(command.help or "").split("\n\n")]
    for is_example, some in groupby(paragraphs, key=lambda each: each.startswith("leukopy ")):
        if is_example:
            yield from ("```sh", *some, "```", "")
        else:
            yield from ("\n\n".join(some).replace("<", "&lt;"), "")


def _parameters(command: Any) -> Iterator[str]:
    shown = [each for each in command.params if each.name != "help" and not getattr(each, "hidden", False)]
    if not shown:
        return
    yield "| option | content | default |"
    yield "|---|---|---|"
    for each in sorted(shown, key=lambda one: one.param_type_name):
        yield f"| {_spelled(each)} | {cell(each.help or '')} | {_default(each)} |"


def _spelled(parameter: Any) -> str:
    """As it is typed: ``--as cells|fields|slide``."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    kind = parameter.type_descriptor.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return names if parameter.is_flag else f"{names} {cell(parameter.metavar or '|'.join(map(str, choices)))}".strip()


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return cell(parameter.show_default)
    shown = parameter.default if parameter.show_default else None
    return "" if shown is None or callable(shown) or shown is False else f"`{cell(str(shown))}`"
