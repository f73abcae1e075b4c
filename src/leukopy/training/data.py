"""The data module: cached pictures, augmented as they are drawn; validation exactly as served."""

from __future__ import annotations

import os
from pathlib import Path

import lightning
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from leukopy.core.progress import Progress
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.preprocess import Preprocess
from leukopy.training.cache import decode_all
from leukopy.training.settings import TrainSettings
from leukopy.training.sources import gather, member_matrix, sampling_weights

Item = tuple[Tensor, Tensor]


class Pictures(Dataset[Item]):
    """uint8 (S, S, 3) and bool (11,) for each cell; one random variant a visit where there is an augmentation."""

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        members: NDArray[np.bool_],
        spec: Preprocess,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.pictures, self.members, self.spec, self.augmentation = pictures, members, spec, augmentation

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Item:
        picture = np.array(self.pictures[index])
        if self.augmentation is not None:
            # torch seeds each worker anew for each epoch; numpy follows it.
            rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
            picture = self.augmentation(picture, self.spec.size, self.spec.crop, rng)
        return torch.from_numpy(picture), torch.from_numpy(self.members[index])


class CellData(lightning.LightningDataModule):
    """Training and validation cells of a recipe."""

    def __init__(self, settings: TrainSettings, data: Path, cache: Path, progress: Progress) -> None:
        super().__init__()
        cells = gather(settings, data)
        self.settings = settings
        self.train_cells = cells.filter(pl.col("split") == "train")
        self.val_cells = cells.filter(pl.col("split") == "val")
        spec = settings.preprocess
        # Augmentation turns and moves the picture, so it starts from the whole square at the same magnification.
        whole = Preprocess(size=spec.short_side, crop=1.0) if settings.augmentation else spec
        self.train_set = Pictures(
            decode_all(self.train_cells, whole, cache, progress),
            member_matrix(self.train_cells["code"]),
            spec,
            settings.augmentation,
        )
        self.val_set = Pictures(
            decode_all(self.val_cells, spec, cache, progress), member_matrix(self.val_cells["code"]), spec
        )

    def train_dataloader(self) -> DataLoader[Item]:
        """Sources by their shares, classes balanced within each."""
        optimisation = self.settings.optimisation
        weights = sampling_weights(self.train_cells, self.settings)
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
