"""The cards of the detector and the patients' model as pages; those of cell models stand in ``docs/models``."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import yaml

from leukopy.core.provenance import RESEARCH_USE_ONLY
from result_pages import cell, leaves, shown


def pages() -> dict[str, Callable[[], str]]:
    """A page for each card, by its place in the site."""
    assets = Path(str(files("leukopy"))) / "assets"
    return {
        "models/detector.md": partial(card, assets / "detectors" / "default" / "card.json"),
        "models/lymphocytosis.md": partial(card, assets / "patients" / "lymphocytosis" / "card.json"),
    }


def card(path: Path) -> str:
    """Every entry of a card: sentences, then facts, then the recipe."""
    content = json.loads(path.read_text("utf-8"))
    text = [
        f"# {content['title']}",
        "",
        content["description"],
        "",
        f"**{content.get('intended_use', RESEARCH_USE_ONLY)}**",
        "",
    ]
    if content.get("limits"):
        text += ["## Limits", "", *(f"- {limit}" for limit in content["limits"]), ""]
    said = {"title", "description", "intended_use", "limits", "recipe"}
    for name, value in content.items():
        if name in said or value in (None, [], {}):
            continue
        text += [f"## {name.replace('_', ' ').capitalize()}", ""]
        if isinstance(value, dict | list):
            found = [(" › ".join(names) or "–", one) for names, one in leaves(value)]
            text += ["| entry | value |", "|---|---|"]
            text += [f"| {cell(entry)} | {cell(shown(one))} |" for entry, one in found]
        else:
            text.append(shown(value))
        text.append("")
    if content.get("recipe"):
        recipe = yaml.safe_dump(content["recipe"], sort_keys=False, allow_unicode=True, width=110).rstrip()
        text += ["## The recipe", "", "```yaml", recipe, "```", ""]
    return "\n".join(text)
