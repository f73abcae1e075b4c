"""The data module: cached pictures, augmented when sampled; validation pictures as in inference."""

from __future__ import annotations

import os
from pathlib import Path

import lightning
import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from leukopy.core.progress import Progress
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.preprocess import Preprocess
from leukopy.taxonomy import CellClass
from leukopy.training.cache import Decoded, decode_all
from leukopy.training.settings import PictureRecipe
from leukopy.training.sources import member_matrix, own_classes_of, sampling_weights, with_test

Item = tuple[Tensor, Tensor]

LOOKED_AT = 1000
"""Number of pictures, evenly chosen, that are checked before a training starts: about a second."""


class Pictures(Dataset[Item]):
    """uint8 (S, S, 3) and bool (F + K,) for each decoded cell; one random variant a visit with an augmentation."""

    def __init__(
        self,
        cells: pl.DataFrame,
        decoded: Decoded,
        spec: Preprocess,
        augmentation: Augmentation | None = None,
        outside: tuple[str, ...] = (),
    ) -> None:
        self.spec, self.augmentation = spec, augmentation
        self._decoded = decoded
        self._rows = np.setdiff1d(np.arange(len(cells)), list(decoded.failures))
        self.cells = cells[self._rows]
        self._crops = self.cells["crop"].fill_null(spec.crop).to_list()
        self.members = member_matrix(self.cells["code"], outside)
        self.failures = cells[list(decoded.failures)].select("cell_id", message=pl.Series(decoded.failures.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Item:
        picture = np.array(self._decoded.picture(self._rows[index]))
        if self.augmentation is not None:
            # torch seeds each worker anew for each epoch; numpy follows it.
            rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
            picture = self.augmentation(picture, self.spec.size, self._crops[index], rng)
        return torch.from_numpy(picture), torch.from_numpy(self.members[index])

    def plain(self) -> list[str]:
        """Ids of cells, among up to ``LOOKED_AT`` of them, whose picture is one colour and nothing else."""
        some = np.unique(np.linspace(0, len(self) - 1, min(LOOKED_AT, len(self)), dtype=np.intp))
        plain = [row for row in some.tolist() if self._decoded.picture(self._rows[row]).std(axis=(0, 1)).max() < 1]
        return self.cells["cell_id"][plain].to_list()


class CellData(lightning.LightningDataModule):
    """Training and validation cells of a recipe."""

    def __init__(self, settings: PictureRecipe, data: Path, cache: Path, progress: Progress) -> None:
        super().__init__()
        self.own: tuple[CellClass, ...] = own_classes_of(settings, data)
        """The laboratory's own classes, which the network answers."""
        own = tuple(cell.code for cell in self.own)
        self.listed = with_test(settings, data, (*settings.outside, *own))
        """The cells of the recipe, test images included, with their split."""
        cells = self.listed.filter(pl.col("split") != "test")
        self.settings = settings
        self._cache, self._progress = cache, progress
        train, val = (cells.filter(pl.col("split") == split) for split in ("train", "val"))
        val = val.filter(~pl.col("code").is_in(settings.outside))  # the network gives no logit for them
        spec = settings.preprocess
        # Augmentation turns and moves the picture, so it starts from the whole square at the same magnification.
        whole = spec.model_copy(update={"size": spec.short_side, "crop": 1.0}) if settings.augmentation else spec
        as_cached = train.drop("crop") if settings.augmentation else train
        decoded = decode_all(as_cached, whole, cache, progress)
        self.train_set = Pictures(train, decoded, spec, settings.augmentation, (*settings.outside, *own))
        self.val_set = Pictures(val, decode_all(val, spec, cache, progress), spec, outside=own)

    @property
    def failures(self) -> pl.DataFrame:
        """Cells left out because their picture cannot be decoded: ``cell_id`` and ``message``."""
        return pl.concat([self.train_set.failures, self.val_set.failures])

    def as_served(self, cells: pl.DataFrame) -> Pictures:
        """Some of the cells, prepared as a bundle prepares them."""
        spec = self.settings.preprocess
        return Pictures(cells, decode_all(cells, spec, self._cache, self._progress), spec)

    def train_dataloader(self) -> DataLoader[Item]:
        """Sources by their shares, classes balanced within each."""
        optimisation = self.settings.optimisation
        weights = sampling_weights(self.train_set.cells, self.settings)
        images = optimisation.epoch_images or len(self.train_set)
        sampler = WeightedRandomSampler(weights.tolist(), images)
        return self._loader(self.train_set, sampler=sampler, drop_last=images >= optimisation.batch_size)

    def val_dataloader(self) -> DataLoader[Item]:
        """Every validation cell once, in order."""
        return self._loader(self.val_set)

    def _loader(self, pictures: Pictures, **options: object) -> DataLoader[Item]:
        workers = max(1, len(os.sched_getaffinity(0)) - (0 if torch.cuda.is_available() else 1))
        return DataLoader(
            pictures,
            batch_size=self.settings.optimisation.batch_size,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=torch.cuda.is_available(),
            **options,  # type: ignore[arg-type]
        )
