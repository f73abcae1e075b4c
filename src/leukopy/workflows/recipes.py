"""Read a recipe of any kind: a network, a shallow model on features, a detector, or shapes of red cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import SettingsError
from leukopy.core.settings import apply_changes, read_mapping
from leukopy.workflows.train import build_recipe, require_torch

if TYPE_CHECKING:
    from leukopy.training.detector.settings import DetectorSettings
    from leukopy.training.red_cell_shapes.settings import RedCellSettings
    from leukopy.training.settings import TrainSettings
    from leukopy.training.shallow_settings import ShallowSettings

    ClassifierRecipe = TrainSettings | ShallowSettings
    Recipe = ClassifierRecipe | DetectorSettings | RedCellSettings


def read(path: Path, changes: dict[str, Any], *, only_known: bool = False) -> Recipe:
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


def build_any(values: dict[str, Any], where: str) -> Recipe:
    """Check the values of a recipe, by its ``kind``; arguments and errors as ``build_recipe``."""
    if values.get("kind") == "generator":
        raise SettingsError(f"{where}: the recipe of a generator. Run leukopy study generate {where} --out FOLDER.")
    if values.get("kind") not in ("shallow", "detector", "red_cell_shapes"):
        return build_recipe(values, where)
    require_torch()
    if values["kind"] == "detector":
        from leukopy.training.detector.settings import DetectorSettings

        return DetectorSettings.build(values, where=where)
    if values["kind"] == "red_cell_shapes":
        from leukopy.training.red_cell_shapes.settings import RedCellSettings

        return RedCellSettings.build(values, where=where)
    from leukopy.training.shallow_settings import ShallowSettings

    return ShallowSettings.build(values, where=where)
