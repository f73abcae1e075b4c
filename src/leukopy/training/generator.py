"""The training of the generator of cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path
from leukopy.core.settings import Settings
from leukopy.models.cell_generator import CellGenerator, scaled
from leukopy.taxonomy import FINE
from leukopy.training.data import CellData, Pictures
from leukopy.training.fit import fit_once
from leukopy.training.optimiser import optimiser_and_schedule
from leukopy.training.settings import PictureRecipe

GENERATOR_FILE = "generator.safetensors"
_MULTIPLE = 8


class MadeCells(Settings):
    """The pictures that the trained generator makes."""

    per_class: int = Field(default=100, ge=1, le=100_000)
    """Pictures of each class in each laboratory that shows it."""
    least: int = Field(default=20, ge=1)
    """Training pictures of a class in a laboratory from which it is made there."""
    steps: int = Field(default=20, ge=1, le=1000)
    """Steps from noise to picture, of two evaluations each."""
    guidance: float = Field(default=1.5, ge=1, le=10)
    """1: as varied as learnt; more: more typical of the class."""
    moved: int = Field(default=0, ge=0, le=100_000)
    """Training cells of each class of the first source, moved into the look of each other source."""


class GeneratorSettings(PictureRecipe):
    """One training of a generator, whole."""

    kind: Literal["generator"]
    width: int = Field(default=48, ge=16, le=512, multiple_of=16)
    """Channels of the finest level of the network."""
    made: MadeCells = MadeCells()

    @field_validator("outside")
    @classmethod
    def _none_outside(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if codes:
            raise ValueError("a generator makes cells of the fine classes alone; leave it out")
        return codes

    @model_validator(mode="after")
    def _in_blocks(self) -> Self:
        if self.preprocess.size % _MULTIPLE:
            raise ValueError(f"preprocess.size: must be a multiple of {_MULTIPLE}")
        return self

    @property
    def laboratories(self) -> tuple[str, ...]:
        """Names of the sources, in the order of the conditions."""
        return tuple(source.dataset for source in self.sources)


class GeneratorModule(lightning.LightningModule):
    """Fits a ``CellGenerator``."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.net = build(settings)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        pictures, conditions = batch
        loss = self.net.loss(scaled(pictures), conditions.float())
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """The same noise and times at every epoch."""
        pictures, conditions = batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            loss = self.net.loss(scaled(pictures), conditions.float())
        self.log("val/loss", loss, prog_bar=True, batch_size=len(pictures))

    def configure_optimizers(self) -> Any:
        """As for classifiers."""
        return optimiser_and_schedule(self, self.settings.optimisation)


def build(settings: GeneratorSettings) -> CellGenerator:
    """The generator of a recipe, untrained.

    Raises:
        MissingExtraError: diffusers is not installed.
    """
    return CellGenerator(len(FINE), len(settings.laboratories), settings.width)


def fit_generator(
    settings: GeneratorSettings, data: CellData, out: Path, *, resume: bool, show_progress: bool
) -> tuple[CellGenerator, float]:
    """Train, and write ``generator.safetensors``: the generator, and the minutes it took.

    Args:
        settings: the recipe.
        data: its cells; laboratories are added to their conditions.
        out: receives ``curves/``, ``checkpoints/`` and the weights.
        resume: resume from the last epoch.
        show_progress: draw a bar.

    Raises:
        MissingExtraError: diffusers is not installed.
        TrainingError: the training diverged.
    """
    for pictures in (data.train_set, data.val_set):
        pictures.members = np.hstack([pictures.members, _laboratories(pictures, settings.laboratories)])
    module, minutes = fit_once(
        lambda: GeneratorModule(settings), settings, data, out, resume=resume, show_progress=show_progress
    )
    with atomic_path(out / GENERATOR_FILE) as temporary:
        save_file(module.net.state_dict(), temporary)
    return module.net.eval(), minutes


def _laboratories(pictures: Pictures, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """bool (N, L): laboratory of each picture."""
    return np.asarray(pictures.cells["source"].to_numpy()[:, None] == np.array(names))


def load_generator(settings: GeneratorSettings, run: Path) -> CellGenerator:
    """The trained generator of a run.

    Raises:
        InputError: the weights are absent, damaged, or of other settings.
        MissingExtraError: diffusers is not installed.
    """
    path, net = run / GENERATOR_FILE, build(settings)
    try:
        net.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not the weights of this generator ({reason}). Run the same command again."
        ) from error
    return net.eval()
