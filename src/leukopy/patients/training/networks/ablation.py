"""What an ablation tries: one network of patients, under each of a grid of optimisers, learning rates and decays."""

from __future__ import annotations

from datetime import date
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from leukopy.core.settings import Settings
from leukopy.patients.training.networks.settings import PatientNetSettings

Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(gt=0, le=1)]


class AblateSettings(Settings):
    """All that decides the curves of an ablation."""

    path: Path
    """The table of the patients or the folder that holds it, absolute or below the data folder."""
    cells: Path | None = None
    """A manifest of the images, likewise, in place of folders."""
    reference_date: date | None = None
    """Where ages are counted that have no date of sampling."""
    model: str = "default"
    """The cell model whose embedding is read, where the network takes no pictures."""
    net: PatientNetSettings = PatientNetSettings(hidden=None)
    """Its optimiser, learning rate and decay are those of the grid, whatever it says itself."""
    optimisers: tuple[Literal["sgd", "adam"], ...] = Field(default=("sgd", "adam"), min_length=1)
    learning_rates: tuple[Rate, ...] = Field(default=(1e-3, 1e-4), min_length=1)
    decays: tuple[Decay, ...] = Field(default=(0.95, 1.0), min_length=1)
    """Of the learning rate, after each epoch; 1: none."""
    folds: int = Field(default=5, ge=2)
    watched_cells: int | None = Field(default=None, ge=1)
    """Cells of a validation patient that are looked at, drawn once; None: all. Where the network takes pictures, to
    look at all of them after each epoch takes longer than the training."""
    inner_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of a fold's training patients that is held back, so that they choose the epoch and the validation patients
    do not. 0: no epoch is chosen."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(self.grid()) < len(self.optimisers) * len(self.learning_rates) * len(self.decays):
            raise ValueError("the grid holds a setting twice; give each optimiser, learning rate and decay once")
        return self

    def grid(self) -> dict[str, PatientNetSettings]:
        """The settings of the network by their names for people: ``SGD 1e-4 decay .95``."""
        found = {}
        for optimiser, rate, decay in product(self.optimisers, self.learning_rates, self.decays):
            name = f"{optimiser.upper() if optimiser == 'sgd' else 'Adam'} {_power(rate)} {_decay(decay)}"
            changes = {"optimiser": optimiser, "learning_rate": rate, "decay": decay}
            found[name] = self.net.model_copy(update=changes)
        return found


def _power(rate: float) -> str:
    """``2.5e-4``."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _decay(decay: float) -> str:
    return "no decay" if decay == 1 else f"decay {decay:g}".replace("0.", ".")
