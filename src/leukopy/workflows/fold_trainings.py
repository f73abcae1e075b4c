"""A recipe trained without each part of the patients, so that figures of these patients are of unseen ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.files import write_text
from leukopy.core.settings import apply_changes
from leukopy.workflows.train import build_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leukopy.training.outside_head import OutsideSettings
    from leukopy.training.settings import TrainSettings


def recipes_without_parts(
    recipe: TrainSettings, how: OutsideSettings, data: Path, out: Path, changes: dict[str, Any]
) -> Iterator[TrainSettings]:
    """The recipe without each part of the patients that `leukopy model fit-outside` leaves out, in its order.

    Args:
        recipe: of the model.
        how: settings of the fit, which make the parts.
        data: the data folder.
        out: receives ``without0.csv`` and so on: the cells left out.
        changes: dotted name -> value, of these trainings alone; fewer epochs, for example.

    Raises:
        TrainingError: the sources hold no cell of a class outside, or a table of cells left out cannot be read.
        SettingsError: a change is wrong.
    """
    import polars as pl

    from leukopy.training.outside_head import list_outside_cells
    from leukopy.training.sources import read_left_out

    cells = list_outside_cells(how, data)
    for part in range(how.folds):
        gone = cells.filter(fold=part)
        sources = []
        for source in recipe.sources:
            own = gone.filter(pl.col("cell_id").str.starts_with(f"{source.dataset}/"))["cell_id"]
            if own.is_empty():
                sources.append(source)
                continue
            earlier = read_left_out(source.left_out) if source.left_out else own.clear()
            table = out / f"without{part}-{source.dataset}.csv"
            write_text(table, pl.DataFrame({"cell_id": pl.concat([own, earlier]).unique().sort()}).write_csv())
            sources.append(source.model_copy(update={"left_out": table}))
        values = recipe.model_copy(update={"sources": tuple(sources)}).model_dump(mode="json")
        values["name"] = f"{recipe.name}_without{part}"
        yield build_recipe(apply_changes(values, changes), where=values["name"])
