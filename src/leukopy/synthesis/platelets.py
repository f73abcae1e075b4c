"""Platelets and platelet clumps of a field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.morphology import morphology
from leukopy.synthesis.paint import Painted, paint_cell

PLATELET_CODE = "PLT"


def paint_platelet(um_per_px: float, rng: np.random.Generator) -> Painted:
    """Paint a platelet of a field: smaller ones and paler ones than on the crops of PBC Barcelona are frequent."""
    look = morphology(PLATELET_CODE)
    size = rng.uniform(1.8, 4.6)
    granules = tuple(replace(each, amount=each.amount * rng.uniform(0.35, 1.0)) for each in look.granules)
    return paint_cell(PLATELET_CODE, um_per_px, rng, replace(look, diameter_um=(size, size), granules=granules))


def paint_clump(um_per_px: float, rng: np.random.Generator) -> Painted:
    """Platelets that stick together: one object, its centre on the middle pixel of the patch."""
    count = int(rng.integers(4, 18))
    parts = [paint_cell(PLATELET_CODE, um_per_px, rng) for _ in range(count)]
    apart = morphology(PLATELET_CODE).diameter_um[0] * rng.uniform(0.55, 0.85) / um_per_px
    centres = _cluster(count, apart, rng)
    half = int(np.abs(centres).max()) + max(len(part.cell) // 2 for part in parts) + 1
    side = 2 * half + 1
    amounts = np.zeros((len(STAINS), side, side), dtype=np.float32)
    cell = np.zeros((side, side), dtype=np.float32)
    for part, (row, column) in zip(parts, centres, strict=True):
        reach = len(part.cell) // 2
        window = (
            slice(half + row - reach, half + row + reach + 1),
            slice(half + column - reach, half + column + reach + 1),
        )
        below = amounts[:, window[0], window[1]]
        below *= 1 - part.cell
        below += part.amounts
        cell[window] = np.maximum(cell[window], part.cell)
    return Painted(amounts, cell, np.zeros_like(cell))


def _cluster(count: int, apart: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Centres, (count, 2) rows and columns: each new one ``apart`` pixels from an old one, and from all others."""
    centres = np.zeros((1, 2))
    while len(centres) < count:
        angle = rng.uniform(0, 2 * np.pi)
        new = centres[rng.integers(len(centres))] + apart * np.array([np.sin(angle), np.cos(angle)])
        if (np.hypot(*(centres - new).T) > 0.9 * apart).all():
            centres = np.vstack([centres, new])
    rounded: NDArray[np.int64] = np.rint(centres - centres.mean(axis=0)).astype(np.int64)
    return rounded
