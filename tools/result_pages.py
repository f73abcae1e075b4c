"""The pages of the figures, one for each file of ``benchmarks/results``; recipes and examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DIGITS = 5
"""Significant digits shown; the file holds all."""

UNKNOWN = "unknown"
"""Commit of a file measured outside a repository."""


def index(folder: Path) -> str:
    """The list of all files of figures."""
    text = [
        "# All figures",
        "",
        "Each file was written by its command into `benchmarks/results/`, with commit and machine.",
        "[Results](../results.md) explains the most important figures and the protocol of each.",
        "",
        "| file | command | date | commit |",
        "|---|---|---|---|",
    ]
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        run = content["provenance"]
        origin = f"`{content['command']}` | {run['created'][:10]} | {run['commit'] or UNKNOWN}"
        text.append(f"| [{path.stem}]({path.stem}.md) | {origin} |")
    text += ["", "| run | page |", "|---|---|"]
    for path in sorted(folder.rglob("*.md")):
        name = path.relative_to(folder)
        text.append(f"| {name.parent if name.parent.name else name.stem} | [{name}]({name}) |")
    return "\n".join(text) + "\n"


def figures(path: Path) -> str:
    """One file of figures as a table; a list of numbers is one figure."""
    content = json.loads(path.read_text("utf-8"))
    run = content["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
    text = [
        f"# {path.stem.replace('_', ' ')}",
        "",
        f"`{content['command']}`",
        "",
        f"{run['created'][:10]}, commit {run['commit'] or UNKNOWN}, {run['machine']}, Python {run['python']}, "
        f"{packages}.",
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {cell(' › '.join(names))} | {cell(shown(value))} |" for names, value in leaves(content["figures"])),
    ]
    return "\n".join(text) + "\n"


def leaves(content: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The figures of a file with the names that lead to them."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from leaves(value, (*names, str(name)))
    elif isinstance(content, list) and any(isinstance(value, dict | list) for value in content):
        for number, value in enumerate(content, start=1):
            yield from leaves(value, (*names, str(number)))
    else:
        yield names, content


def shown(value: Any) -> str:
    """A figure as the page shows it."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def recipes(folder: Path) -> str:
    """Every recipe that ships, as it stands; its first lines are its command."""
    text = ["# Recipes", "", "The recipes of `configs/`. Each begins with its command.", ""]
    for path in sorted(folder.rglob("*.yaml")):
        text += [f"## {path.relative_to(folder)}", "", "```yaml", path.read_text("utf-8").rstrip(), "```", ""]
    return "\n".join(text)


def examples(folder: Path) -> str:
    """Every example as it stands."""
    text = [
        "# Examples",
        "",
        "Each script of `examples/` runs as it stands; a notebook of the same name lies beside it.",
        "",
    ]
    for path in sorted(folder.glob("*.py")):
        script = path.read_text("utf-8")
        title = re.search(r"^# # (.+)$", script, re.M)
        text += [f"## {title[1] if title else path.stem}", "", f"`examples/{path.name}`", ""]
        text += ["```python", script.rstrip(), "```", ""]
    return "\n".join(text)


def cell(text: str) -> str:
    """A text as it stands in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
