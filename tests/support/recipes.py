"""The recipes that ship, by what they are recipes of."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml

from support.files import CONFIGS

Kind = Literal["cells", "generator", "transfer", "leave a class out", "patients", "ablation", "build"]
RECIPES = sorted(CONFIGS.rglob("*.yaml"))


def kind_of(path: Path) -> Kind:
    """What a file is a recipe of, by the settings that it holds."""
    values = yaml.safe_load(path.read_text("utf-8"))
    if path.parent.name == "patients":
        return "ablation" if "path" in values else "patients"
    if "trainings" in values:
        return "build"
    if values.get("kind") == "generator":
        return "generator"
    return "transfer" if "arms" in values else "leave a class out" if "classes" in values else "cells"


def recipes_of(kind: Kind) -> list[Path]:
    return [path for path in RECIPES if kind_of(path) == kind]
