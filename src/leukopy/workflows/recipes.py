"""Read a recipe of either kind: a network, or a shallow model on features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.settings import apply_changes, read_mapping
from leukopy.workflows.train import build_recipe

if TYPE_CHECKING:
    from leukopy.training.settings import TrainSettings
    from leukopy.training.shallow_settings import ShallowSettings


def read(path: Path, changes: dict[str, Any], *, only_known: bool = False) -> TrainSettings | ShallowSettings:
    """Read a recipe and apply ``changes`` (dotted name -> value).

    Args:
        path: YAML, or the ``run.json`` of an earlier run.
        changes: as ``{"optimisation.epochs": 2}``.
        only_known: leave out the changes that name a setting the recipe's kind does not have: for changes meant for
            several recipes.

    Raises:
        MissingExtraError: torch is not installed.
        SettingsError: a name or value is wrong.
    """
    values = read_mapping(path)
    values = values.get("settings", values)
    plain = build_any(values, where=str(path))
    if only_known:
        first = type(plain).model_fields.keys()
        changes = {name: value for name, value in changes.items() if name.partition(".")[0] in first}
    return build_any(apply_changes(values, changes), where=str(path)) if changes else plain


def build_any(values: dict[str, Any], where: str) -> TrainSettings | ShallowSettings:
    """Check the values of a recipe, by its ``kind``; arguments and errors as ``build_recipe``."""
    if values.get("kind") != "shallow":
        return build_recipe(values, where)
    from leukopy.workflows.train import require_torch

    require_torch()
    from leukopy.training.shallow_settings import ShallowSettings

    return ShallowSettings.build(values, where=where)
