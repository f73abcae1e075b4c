"""Patients as training sees them: in a new order each epoch, with the cells that are drawn for this visit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from leukopy.patients.card import Bag
from leukopy.patients.training.networks.settings import PatientNetSettings


class Visit(NamedTuple):
    """One patient, once."""

    cells: Tensor
    """Float (N, D) or uint8 (N, S, S, 3)."""
    clinical: Tensor
    """Float (2,)."""
    label: Tensor
    """Float (), 0 or 1."""
    weight: Tensor
    """Float (), of its loss."""


class Visits:
    """Iterated once for each epoch: groups of ``patients_per_step`` patients, all patients once."""

    def __init__(
        self, bags: Sequence[Bag], cells: Sequence[Tensor] | None, settings: PatientNetSettings, seed: int
    ) -> None:
        """Prepare the patients.

        Args:
            bags: with their labels.
            cells: their features, float (N, D), in place of those of ``bags``; None: cells are pictures, which may be
                memory-mapped and are read when they are drawn.
            settings: how many are drawn.
            seed: of the order and of what is drawn.
        """
        self._settings = settings
        self._rng = np.random.default_rng(seed)
        self._cells = [bag.cells for bag in bags] if cells is None else cells
        self._clinical = [torch.tensor(bag.clinical, dtype=torch.float32) for bag in bags]
        labels = np.array([bag.label for bag in bags], dtype=np.int64)
        weights = len(labels) / (2 * np.bincount(labels, minlength=2)[labels])
        if settings.class_weights == "none":
            weights = np.ones(len(labels))
        self._labels = torch.tensor(labels, dtype=torch.float32)
        self._weights = torch.tensor(weights, dtype=torch.float32)

    def __iter__(self) -> Iterator[list[Visit]]:
        order = self._rng.permutation(len(self._cells))
        for start in range(0, len(order), self._settings.patients_per_step):
            yield [self._visit(int(patient)) for patient in order[start : start + self._settings.patients_per_step]]

    def _visit(self, patient: int) -> Visit:
        cells = self._cells[patient]
        rows = self._rows(len(cells))
        if rows is not None:
            cells = cells[rows]
        if not isinstance(cells, Tensor):
            cells = torch.from_numpy(np.array(cells))
        if self._settings.pictures and self._settings.pictures.flips:
            cells = self._flipped(cells)
        return Visit(cells, self._clinical[patient], self._labels[patient], self._weights[patient])

    def _rows(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]] | None:
        """The cells that are drawn from ``count``, in their order; None: all."""
        wanted, dropout = self._settings.cells_per_step, self._settings.cell_dropout
        if (wanted is None or wanted >= count) and not dropout:
            return None
        rows = np.arange(count)
        if dropout:
            kept = rows[self._rng.random(count) >= dropout]
            rows = kept if len(kept) else self._rng.integers(count, size=1)
        if wanted is not None and wanted < len(rows):
            rows = np.sort(self._rng.choice(rows, wanted, replace=False))
        return rows

    def _flipped(self, pictures: Tensor) -> Tensor:
        for axis in (1, 2):
            chosen = torch.from_numpy(self._rng.random(len(pictures)) < 0.5)
            pictures = torch.where(chosen[:, None, None, None], pictures.flip(axis), pictures)
        return pictures


def as_tensor(bag: Bag) -> Tensor:
    """The cells of a patient, copied: features as float32, pictures as bytes."""
    cells = np.array(bag.cells)
    return torch.from_numpy(cells if cells.dtype == np.uint8 else cells.astype(np.float32))
