"""Red cells and the stray platelets among which leukocytes lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.shapes import Grid, rounded
from leukopy.synthesis.texture import Plane

RED_CELL_UM = 7.5
"""Diameter of a normal red cell on a smear (6.7-7.7; Bain, Blood Cells)."""


@dataclass(frozen=True)
class RedCells:
    """What the red cells of one place on a smear have in common."""

    share: float
    """Share of the slide they would cover without overlap."""
    pallor: float
    """0: no pale centre; 1: the centre is nearly clear."""
    crowding: float
    """Least distance between centres, in diameters; below 1 they overlap."""
    crenation: float
    """Spikes of the outline, as a share of the radius."""
    waviness: float

    @classmethod
    def random(cls, pallor: float, rng: np.random.Generator) -> RedCells:
        """A place on the smear."""
        return cls(
            share=rng.uniform(0.25, 0.6),
            pallor=pallor * rng.uniform(0.3, 1.1),
            crowding=rng.uniform(0.7, 1.02),
            crenation=rng.choice([0.0, 0.07], p=[0.92, 0.08]),
            waviness=rng.uniform(0.03, 0.12),
        )


def place(
    size_um: tuple[float, float], cells: RedCells, keep_off: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres of red cells, by throwing darts.

    Args:
        size_um: height and width of the slide's part.
        cells: how many and how close.
        keep_off: (n, 3) row, column and radius in micrometres of cells that they must not cover.
        rng: where the darts fall.

    Returns:
        (m, 2) row and column in micrometres; some lie outside, so that the border cuts them.
    """
    margin = RED_CELL_UM / 2
    low, high = -margin, np.array(size_um) + margin
    wanted = int(cells.share * np.prod(high - low) / (np.pi * margin**2))
    placed = np.empty((0, 2))
    for dart in rng.uniform(low, high, (wanted * 6, 2)):
        free = (np.hypot(*(placed - dart).T) > cells.crowding * RED_CELL_UM).all()
        if free and (np.hypot(*(keep_off[:, :2] - dart).T) > keep_off[:, 2] + 0.96 * margin).all():
            placed = np.vstack([placed, dart])
        if len(placed) == wanted:
            break
    return placed


def paint_red_cell(
    cells: RedCells, um_per_px: float, rng: np.random.Generator, shift_um: tuple[float, float] = (0, 0)
) -> Plane:
    """Amount of haemoglobin of one red cell on its patch: a disc, thinner in the middle.

    The profile is the biconcave one of Evans & Fung (Microvasc. Res. 1972), flattened by drying.
    """
    radius = RED_CELL_UM / 2 * rng.normal(1, 0.05)
    grid = Grid.around(1.3 * radius, um_per_px, shift_um)
    edge = rounded(grid, radius, cells.waviness, rng, waves=3)
    if cells.crenation:
        spikes = np.float32(rng.integers(9, 14))
        wave = np.cos(spikes * np.arctan2(grid.y, grid.x) + np.float32(rng.uniform(0, 6)))
        edge -= np.float32(cells.crenation * radius) * wave
    across = np.clip(1 + edge / np.float32(radius), 0, 1) ** 2
    biconcave = (0.31 + 3.0 * across - 1.68 * across**2) / 1.65
    pallor = np.clip(cells.pallor * rng.normal(1, 0.2), 0, 1)
    thickness = (1 - pallor) * np.float32(0.92) + pallor * np.clip(1.25 * biconcave - 0.25, 0.05, 1)
    amount: Plane = (thickness * grid.coverage(edge, 0.35) * rng.normal(1, 0.08)).astype(np.float32)
    return amount
