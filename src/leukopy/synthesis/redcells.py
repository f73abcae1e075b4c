"""Red cells around leukocytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.shapes import Grid, rounded
from leukopy.synthesis.texture import Plane
from leukopy.taxonomy.objects import RED_CELL_UM


@dataclass(frozen=True)
class RedCells:
    """Common properties of the red cells of one place on a smear."""

    share: float
    """Share of the slide that they would cover without overlap."""
    crowding: float
    """Least distance between centres, in diameters; below 1 they overlap."""
    amount: float
    """Haemoglobin where they are thickest."""
    pallor: float
    """0: no pale centre; 1: the centre is nearly clear."""
    pale_width: float
    """Radius of the pale centre, as a share of the cell's: about a third, more in thin places."""
    waviness: float
    """Relative departure from a circle."""
    crenation: float
    """Spikes of the outline, as a share of the radius; 0 for nearly all smears."""

    @classmethod
    def random(cls, pallor: float, rng: np.random.Generator) -> RedCells:
        """A random place on a smear; ``pallor`` is the laboratory's."""
        return cls(
            share=rng.uniform(0.3, 0.72),
            crowding=rng.uniform(0.72, 1.02),
            amount=rng.uniform(0.82, 1.15),
            pallor=pallor * rng.uniform(0.1, 1.3),
            pale_width=rng.uniform(0.25, 0.6),
            waviness=rng.uniform(0.04, 0.18),
            crenation=rng.choice([0.0, 0.05], p=[0.96, 0.04]),
        )


def place(
    size_um: tuple[float, float], cells: RedCells, keep_off: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Place centres of red cells by dart throwing.

    Args:
        size_um: height and width of the slide's part.
        cells: how many and how close.
        keep_off: (n, 3) row, column and radius in micrometres of cells to leave free.
        rng: positions of the darts.

    Returns:
        (m, 2) row and column in micrometres; some lie outside and are cut by the border.
    """
    margin = RED_CELL_UM / 2
    low, high = -margin, np.array(size_um) + margin
    wanted = int(cells.share * np.prod(high - low) / (np.pi * margin**2))
    darts = rng.uniform(low, high, (wanted * 6, 2))
    apart = np.hypot(*(darts[:, None] - keep_off[None, :, :2]).transpose(2, 0, 1))
    darts = darts[(apart > keep_off[:, 2] + 0.97 * margin).all(axis=1)]
    placed = np.empty((wanted, 2))
    count = 0
    for dart in darts:
        if (((placed[:count] - dart) ** 2).sum(axis=1) > (cells.crowding * RED_CELL_UM) ** 2).all():
            placed[count] = dart
            count += 1
            if count == wanted:
                break
    return placed[:count]


def paint_red_cell(cells: RedCells, um_per_px: float, rng: np.random.Generator) -> Plane:
    """Amount of haemoglobin of one red cell on its patch, (side, side): a disc with a pale centre."""
    radius = RED_CELL_UM / 2 * rng.normal(1, 0.05)
    grid = Grid.around(1.25 * radius, um_per_px)
    edge = rounded(grid, radius, cells.waviness, rng, waves=3)
    across = 1 + edge / np.float32(radius)  # 0 at the centre, 1 at the edge
    if cells.crenation:
        spikes = np.float32(rng.integers(9, 14))
        wave = np.cos(spikes * np.arctan2(grid.y, grid.x) + np.float32(rng.uniform(0, 6)))
        edge -= np.float32(cells.crenation * radius) * wave
    rise = np.clip((across - np.float32(cells.pale_width - 0.2)) / np.float32(0.4), 0, 1)
    pallor = np.float32(np.clip(cells.pallor * rng.normal(1, 0.2), 0, 0.97))
    thickness = 1 - pallor * (1 - rise * rise * (3 - 2 * rise))
    amount: Plane = np.float32(cells.amount * rng.normal(1, 0.06)) * thickness * grid.coverage(edge, 0.35)
    return amount
