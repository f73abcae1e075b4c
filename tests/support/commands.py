"""The command lines that help, documents and recipes show, and the application that must take them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.core import TyperGroup

from command_page import ROOT, commands, opened

__all__ = [
    "ROOT",
    "blocks",
    "commands",
    "fenced",
    "named_in",
    "names_a_command",
    "opened",
    "parse",
    "shown_in",
    "words_of",
]


def shown_in(text: str, prompt: str = "") -> list[str]:
    """The lines of a text that are a command of leukopy; one may go on after a backslash.

    Args:
        text: help, the block of a document, or the comments of a recipe.
        prompt: what each line begins with, a regular expression.
    """
    plain = re.sub(rf"^{prompt}", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", plain).splitlines()
    return [line.strip() for line in lines if line.strip().startswith("leukopy ")]


def fenced(document: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block of a document."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str = "(?:sh)?") -> list[str]:
    """The fenced blocks in a language, a regular expression."""
    return [text for name, text in fenced(document) if re.fullmatch(language, name)]


def named_in(text: str) -> list[str]:
    """What stands in a text between backticks and begins with ``leukopy``; it need not be a whole command."""
    return [" ".join(found.split()) for found in re.findall(r"`(leukopy [^`]+)`", text)]


def words_of(line: str) -> list[str]:
    """The words after ``leukopy``, without a comment and without what becomes of the output."""
    words = shlex.split(line, comments=True)[1:]
    ends = [index for index, word in enumerate(words) if word in (">", "|")]
    return words[: ends[0]] if ends else words


def parse(line: str) -> str:
    """Have a command line read as the application reads it, without doing anything; the name of the command.

    Raises:
        ClickException: the application would refuse it.
    """
    command, words, context = ROOT, words_of(line), None
    path, name = ["leukopy"], "leukopy"
    while True:
        context = command.make_context(name, list(words), parent=context)
        command = context.command  # a deferred command became itself
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not isinstance(command, TyperGroup) or not rest:
            return " ".join(path)
        name, command, words = command.resolve_command(context, rest)
        if name != rest[0]:
            raise ValueError(f"{line}: No such command, it is now {' '.join([*path, name, *words])}")
        path.append(name)


def names_a_command(line: str) -> bool:
    """Whether the words up to the first option or argument lead to a command."""
    command = ROOT
    for word in line.split()[1:]:
        if not isinstance(command, TyperGroup) or not re.fullmatch(r"[a-z][a-z-]*", word):
            return True
        if word not in command.commands:
            return False
        command = opened(command.commands[word])
    return True
