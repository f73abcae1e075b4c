"""Cells as amounts of stain on a patch of slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.morphology import Chromatin, CoarseGranules, Granules, Morphology, morphology
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

    @property
    def mean_radius_px(self) -> float:
        """Radius of the disc of the cell's area, in pixels."""
        return float(np.sqrt((self.cell > 0.5).sum() / np.pi))

    @property
    def reach_px(self) -> float:
        """Radius of the disc about the middle pixel that contains the whole cell, in pixels."""
        return float(np.hypot(*(np.argwhere(self.cell > 0) - len(self.cell) // 2).T).max()) + 1


def paint_cell(code: str, um_per_px: float, rng: np.random.Generator, look: Morphology | None = None) -> Painted:
    """Paint one cell of a fine class, centred on the middle pixel of the patch; ``look`` replaces its morphology.

    Raises:
        SettingsError: the code is not a fine class.
    """
    look = look or morphology(code)
    radius = rng.uniform(*look.diameter_um) / 2
    grid = Grid.around(1.4 * radius, um_per_px)
    ragged = grid.warped(look.outline.amount_um * rng.uniform(0.3, 1.2), look.outline.scale_um, rng)
    edge = rounded(ragged, radius, look.waviness, rng)
    warped = grid.warped(look.nuclear_outline.amount_um, look.nuclear_outline.scale_um, rng)
    inside = np.maximum(look.nucleus(radius, rng).distance(warped), edge + np.float32(0.2))
    cell, nucleus = grid.coverage(edge, 0.2), grid.coverage(inside, 0.25)
    amounts = np.zeros((len(STAINS), *grid.shape), dtype=np.float32)
    _cytoplasm(amounts, look, grid, edge, rng)
    centre = np.clip((np.float32(1.15) + edge / np.float32(radius)) / -np.float32(0.9), -1, 0) if look.fringe else 0
    speckles = [(1 + np.float32(look.fringe) * centre) * _speckle(granules, grid, rng) for granules in look.granules]
    for granules, speckle in zip(look.granules, speckles, strict=True):
        amounts[INDEX[granules.stain]] += speckle
    _vacuoles(amounts, look, grid, radius, rng)
    _nucleus(amounts, look.chromatin, grid, inside, rng)
    for granules, speckle in zip(look.granules, speckles, strict=True):
        amounts[INDEX[granules.stain]] += np.float32(granules.over_nucleus) * speckle * nucleus
    amounts *= cell
    if look.coarse:
        cell = _coarse_granules(amounts, look.coarse, grid, edge, cell, rng)
    return Painted(amounts, cell, nucleus)


def _cytoplasm(amounts: Plane, look: Morphology, grid: Grid, edge: Plane, rng: np.random.Generator) -> None:
    depth = 1 + 0.12 * grid.noise(0.22, rng)
    if look.rim:
        depth += np.float32(look.rim) * np.exp(-((edge / np.float32(0.5)) ** 2))
    if look.halo:
        away, angle = 0.35 * look.diameter_um[0], rng.uniform(0, 2 * np.pi)
        x, y = np.float32(away * np.cos(angle)), np.float32(away * np.sin(angle))
        golgi = np.exp(-((grid.x - x) ** 2 + (grid.y - y) ** 2) / np.float32(2 * 1.8**2))
        depth *= 1 - np.float32(look.halo) * golgi
    for stain, limits in look.cytoplasm.items():
        uneven = depth * (1 + 0.15 * grid.noise(1.3, rng))
        amounts[INDEX[stain]] += np.float32(rng.uniform(*limits)) * uneven


def _speckle(granules: Granules, grid: Grid, rng: np.random.Generator) -> Plane:
    speckle = grid.granules(granules.radius_um, granules.density * rng.uniform(0.7, 1.3), rng)
    uneven = np.clip(1 + 0.3 * grid.noise(0.9, rng), 0.2, 1.8)
    if granules.patchy:
        uneven *= np.clip(2 * (grid.noise(1.8, rng) + np.float32(granules.patchy)), 0, 1)
    amount: Plane = np.float32(granules.amount * rng.uniform(0.7, 1.3)) * speckle * uneven
    return amount


def _vacuoles(amounts: Plane, look: Morphology, grid: Grid, radius: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(look.vacuoles[0], look.vacuoles[1] + 1))):
        angle, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.3, 0.92)
        size = rng.uniform(0.2, 0.6)
        hole = np.hypot(grid.x - np.float32(away * np.cos(angle)), grid.y - np.float32(away * np.sin(angle)))
        amounts *= 1 - np.float32(0.85) * grid.coverage(hole - np.float32(size), 0.3)


def _nucleus(amounts: Plane, chromatin: Chromatin, grid: Grid, inside: Plane, rng: np.random.Generator) -> None:
    """Chromatin: dense clumps, paler gaps, a darker membrane; it hides the cytoplasm below."""
    if not chromatin.density:
        return
    nucleus = grid.coverage(inside, 0.25)
    scale = chromatin.clump_um
    clumps = 0.9 * grid.noise(scale, rng) + 0.5 * grid.noise(2 * scale, rng) + 0.8 * grid.noise(0.55 * scale, rng)
    density = 1 + np.float32(chromatin.contrast) * np.clip(np.where(clumps < 0, 1.3 * clumps, 0.8 * clumps), -3, 1.4)
    density += np.float32(0.16) * np.exp(-((inside / np.float32(0.28)) ** 2))
    if chromatin.folds:
        crease = grid.noise(1.6, rng)
        density += np.float32(chromatin.folds) * np.exp(-((crease / np.float32(0.13)) ** 2))
    for _ in range(int(rng.integers(chromatin.nucleoli[0], chromatin.nucleoli[1] + 1))):
        rows, columns = np.nonzero(inside < -1.6)
        if len(rows):
            pick = rng.integers(len(rows))
            spot = np.hypot(grid.x - grid.x[0, columns[pick]], grid.y - grid.y[rows[pick], 0])
            pale = grid.coverage(spot - np.float32(rng.uniform(0.7, 1.2)), 0.5)
            density *= 1 - np.float32(0.38) * pale
            amounts[INDEX["basophilia"]] += np.float32(0.5) * pale
    amounts *= 1 - np.float32(0.85) * nucleus
    amounts[INDEX["eosin"]] += np.float32(0.8) * np.clip(-clumps - 0.7, 0, 1) * nucleus
    amounts[INDEX["chromatin"]] += np.float32(chromatin.density * rng.uniform(0.92, 1.08)) * density * nucleus


def _coarse_granules(
    amounts: Plane, coarse: CoarseGranules, grid: Grid, edge: Plane, cell: Plane, rng: np.random.Generator
) -> Plane:
    """Add the granules; return the cell's coverage including bulging ones."""
    cover = np.zeros_like(cell)
    rows, columns = np.nonzero(edge < 0.05)
    picks = rng.integers(0, len(rows), int(rng.integers(coarse.count[0], coarse.count[1] + 1)))
    sizes = rng.uniform(*coarse.radius_um, len(picks))
    strengths = rng.uniform(0.5, 1.0, len(picks)).astype(np.float32)
    for row, column, size, strength in zip(rows[picks], columns[picks], sizes, strengths, strict=True):
        reach = int((size + 0.15) / grid.um_per_px) + 1
        window = (slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1))
        spot = np.hypot(grid.x[window] - grid.x[row, column], grid.y[window] - grid.y[row, column])
        cover[window] = np.maximum(cover[window], strength * grid.coverage(spot - np.float32(size), 0.2))
    amounts[INDEX[coarse.stain]] += np.float32(coarse.amount) * cover
    return np.maximum(cell, np.minimum(2 * cover, 1))
