"""Cells as amounts of stain on a patch of slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.morphology import Chromatin, Granules, Morphology, morphology
from leukopy.synthesis.shapes import Grid, rounded
from leukopy.synthesis.texture import Plane

INDEX = {name: position for position, name in enumerate(STAINS)}


@dataclass(frozen=True)
class Painted:
    """A cell on its patch."""

    amounts: Plane
    """(6, side, side), stains in the order of ``STAINS``."""
    cell: Plane
    """(side, side), share of each pixel inside the cell."""
    nucleus: Plane
    """(side, side), share of each pixel inside the nucleus."""


def paint_cell(
    code: str, um_per_px: float, rng: np.random.Generator, shift_um: tuple[float, float] = (0, 0)
) -> Painted:
    """Paint one cell of a fine class, its centre ``shift_um`` off the middle pixel of the patch.

    Raises:
        SettingsError: the code is none of the 11 fine ones.
    """
    look = morphology(code)
    radius = rng.uniform(*look.diameter_um) / 2
    grid = Grid.around(1.45 * radius + 0.5, um_per_px, shift_um)
    ragged = grid.warped(look.ragged_um, 0.6, rng)
    waves = 9 if code == "PLT" else 5
    edge = rounded(ragged, radius, look.waviness, rng, waves)
    inside = look.nucleus(radius, rng).distance(grid.warped(look.nuclear_warp_um, 0.9, rng))
    inside = np.maximum(inside, edge + np.float32(0.2))
    cell, nucleus = grid.coverage(edge, 0.2), grid.coverage(inside, 0.25)
    amounts = np.zeros((len(STAINS), *grid.shape), dtype=np.float32)
    _cytoplasm(amounts, look, grid, edge, inside, rng)
    for granules in look.granules:
        _fine_granules(amounts, granules, grid, nucleus, rng)
    _vacuoles(amounts, look, grid, radius, rng)
    _nucleus(amounts, look.chromatin, grid, inside, nucleus, rng)
    for granules in look.granules:
        if granules.over_nucleus:
            _fine_granules(amounts, granules, grid, 1 - np.float32(granules.over_nucleus) * nucleus, rng)
    amounts *= cell
    if look.coarse:
        cell = _coarse_granules(amounts, look.coarse, grid, edge, cell, radius, rng)
    return Painted(amounts, cell, nucleus)


def _cytoplasm(
    amounts: Plane, look: Morphology, grid: Grid, edge: Plane, inside: Plane, rng: np.random.Generator
) -> None:
    uneven = 1 + 0.10 * grid.noise(0.25, rng) + 0.12 * grid.noise(1.2, rng)
    if look.rim:
        uneven += np.float32(look.rim) * np.exp(-((edge / np.float32(0.6)) ** 2))
    if look.halo:
        uneven *= 1 - np.float32(look.halo) * np.exp(-((np.maximum(inside, 0) / np.float32(0.9)) ** 2))
    for stain, limits in look.cytoplasm.items():
        amounts[INDEX[stain]] += np.float32(rng.uniform(*limits)) * uneven


def _fine_granules(amounts: Plane, granules: Granules, grid: Grid, hidden: Plane, rng: np.random.Generator) -> None:
    speckle = np.clip(1.4 * (grid.noise(granules.radius_um, rng) - np.float32(granules.rarity)), 0, 1)
    strength = np.float32(granules.amount * rng.uniform(0.7, 1.25))
    amounts[INDEX[granules.stain]] += strength * speckle * (1 - hidden)


def _vacuoles(amounts: Plane, look: Morphology, grid: Grid, radius: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(look.vacuoles[0], look.vacuoles[1] + 1))):
        angle, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.3, 0.92)
        size = rng.uniform(0.2, 0.6)
        hole = np.hypot(grid.x - np.float32(away * np.cos(angle)), grid.y - np.float32(away * np.sin(angle)))
        amounts *= 1 - np.float32(0.85) * grid.coverage(hole - np.float32(size), 0.3)


def _nucleus(
    amounts: Plane, chromatin: Chromatin, grid: Grid, inside: Plane, nucleus: Plane, rng: np.random.Generator
) -> None:
    """Chromatin: dense clumps, paler gaps, a darker membrane; it hides the cytoplasm below."""
    if not chromatin.density:
        return
    gaps = grid.noise(chromatin.clump_um, rng) + 0.5 * grid.noise(2.2 * chromatin.clump_um, rng)
    density = 1 - np.float32(chromatin.contrast) * np.clip(0.8 * gaps - 0.15, -0.3, 1)
    density += np.float32(0.18) * np.exp(-((inside / np.float32(0.28)) ** 2))
    for _ in range(int(rng.integers(chromatin.nucleoli[0], chromatin.nucleoli[1] + 1))):
        rows, columns = np.nonzero(inside < -1.6)
        if len(rows):
            pick = rng.integers(len(rows))
            spot = np.hypot(grid.x - grid.x[0, columns[pick]], grid.y - grid.y[rows[pick], 0])
            pale = grid.coverage(spot - np.float32(rng.uniform(0.7, 1.2)), 0.5)
            density *= 1 - np.float32(0.42) * pale
            amounts[INDEX["basophilia"]] += np.float32(0.5) * pale
    amounts *= 1 - np.float32(0.75) * nucleus
    amounts[INDEX["chromatin"]] += np.float32(chromatin.density * rng.uniform(0.92, 1.08)) * density * nucleus


def _coarse_granules(
    amounts: Plane, coarse: tuple[str, int, int], grid: Grid, edge: Plane, cell: Plane, radius: float,
    rng: np.random.Generator,
) -> Plane:  # fmt: skip
    """Large separate granules, over the nucleus too; those at the edge bulge. Returns the cell's new coverage."""
    stain, fewest, most = coarse
    cover = np.zeros_like(cell)
    for _ in range(int(rng.integers(fewest, most + 1))):
        angle, away = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform(0, 1))
        size = rng.uniform(0.25, 0.55)
        x, y = away * np.cos(angle), away * np.sin(angle)
        column, row = (int(np.searchsorted(line, value)) for line, value in ((grid.x[0], x), (grid.y[:, 0], y)))
        reach = int(np.ceil((size + 0.3) / grid.um_per_px)) + 1
        window = (slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach))
        if edge[window].size == 0 or edge[row, column] > 0.1:
            continue
        spot = np.hypot(grid.x[window] - np.float32(x), grid.y[window] - np.float32(y))
        cover[window] = np.maximum(cover[window], rng.uniform(0.6, 1.0) * grid.coverage(spot - np.float32(size), 0.2))
    amounts[INDEX[stain]] += np.float32(0.75) * cover
    return np.maximum(cell, (cover > 0.5).astype(np.float32))
