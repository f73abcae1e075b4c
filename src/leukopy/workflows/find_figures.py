"""Find published figures of the models that ship, with the command that measured each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A measured figure."""

    model: str
    """Path of its card below the models that ship."""
    name: str
    value: float
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    data: str
    """The images, and their relation to the training images."""
    command: str
    """The command that measured it; empty where the card names none."""


def find_figures(words: str) -> list[Figure]:
    """The figures of all bundled cards whose name, images or command hold each of some words.

    Args:
        words: separated by spaces; capitals do not matter. Empty: all figures.
    """
    wanted = words.lower().split()
    return [each for each in _figures() if all(word in _text(each) for word in wanted)]


def _figures() -> Iterator[Figure]:
    assets = Path(str(files("leukopy"))) / "assets"
    for path in sorted(assets.rglob("card.json")):
        for metric in _metrics(json.loads(path.read_text("utf-8"))):
            yield Figure(
                str(path.parent.relative_to(assets)),
                metric["name"],
                metric["value"],
                metric.get("low"),
                metric.get("high"),
                metric.get("data", ""),
                metric.get("command", ""),
            )


def _metrics(content: Any) -> Iterator[dict[str, Any]]:
    """Every entry of a list ``metrics``, wherever it stands in a card."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "metrics":
                yield from value
            else:
                yield from _metrics(value)
    elif isinstance(content, list):
        for value in content:
            yield from _metrics(value)


def _text(figure: Figure) -> str:
    return " ".join((figure.model, figure.name, figure.data, figure.command)).lower()
