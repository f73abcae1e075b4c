"""Stained matter on a smear that is no cell: precipitate, smudge cells, bare nuclei, fibres, drops."""

from __future__ import annotations

import numpy as np

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.canvas import DISTRACTOR, Canvas
from leukopy.synthesis.paint import INDEX, Painted
from leukopy.synthesis.scene import Scene
from leukopy.synthesis.shapes import Grid, rounded


def lay_artefacts(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Lay the artefacts of a scene above its red cells and below its leukocytes."""
    for paint, code, count in (
        (_smudge, "smudge_cell", scene.smudges),
        (_bare_nucleus, "bare_nucleus", scene.bare_nuclei),
        (_fibre, "fibre", scene.folds),
        (_drop, "drop", scene.bubbles),
        (_grains, "precipitate", _grain_groups(canvas, scene, rng)),
    ):
        for _ in range(count):
            row, column = (int(rng.integers(0, side)) for side in (canvas.height, canvas.width))
            canvas.lay(DISTRACTOR, code, paint(canvas.um_per_px, rng), row, column)


def _grain_groups(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> int:
    """Number of grains and groups of grains: up to one in 300 square micrometres."""
    area = canvas.height * canvas.width * canvas.um_per_px**2
    return int(rng.poisson(min(scene.precipitate**2 * area / 300, 200)))


def _patch(grid: Grid) -> Painted:
    empty = np.zeros(grid.shape, dtype=np.float32)
    return Painted(np.zeros((len(STAINS), *grid.shape), dtype=np.float32), empty, empty.copy())


def _smudge(um_per_px: float, rng: np.random.Generator) -> Painted:
    """A nucleus smeared out: pale, without an outline."""
    radius = rng.uniform(5, 9)
    grid = Grid.around(1.6 * radius, um_per_px)
    ragged = grid.warped(rng.uniform(0.8, 2.0), 2.2, rng)
    edge = rounded(ragged, radius, 0.35, rng)
    painted = _patch(grid)
    painted.cell[:] = grid.coverage(edge, rng.uniform(0.8, 2.5))
    strands = np.clip(1 + 0.35 * grid.noise(0.5, rng) + 0.3 * grid.noise(1.5, rng), 0.2, 2)
    painted.amounts[INDEX["chromatin"]] = np.float32(rng.uniform(0.3, 0.65)) * strands * painted.cell
    return painted


def _bare_nucleus(um_per_px: float, rng: np.random.Generator) -> Painted:
    """A nucleus without cytoplasm, its chromatin loose."""
    radius = rng.uniform(3, 5.5)
    grid = Grid.around(1.4 * radius, um_per_px)
    edge = rounded(grid.warped(0.4, 1.2, rng), radius, 0.15, rng)
    painted = _patch(grid)
    painted.cell[:] = grid.coverage(edge, 0.5)
    texture = np.clip(1 + 0.25 * grid.noise(0.35, rng), 0.3, 1.6)
    painted.amounts[INDEX["chromatin"]] = np.float32(rng.uniform(0.45, 0.9)) * texture * painted.cell
    return painted


def _fibre(um_per_px: float, rng: np.random.Generator) -> Painted:
    """A fibre, a fold of dried stain or a scratch: a bent line, dark or pale."""
    length, thick = rng.uniform(10, 45), rng.uniform(0.3, 1.6)
    grid = Grid.around(0.55 * length, um_per_px).warped(0.6, 4, rng)
    turn, bend = rng.uniform(0, np.pi), rng.normal(0, 0.6) / length
    along = grid.x * np.float32(np.cos(turn)) + grid.y * np.float32(np.sin(turn))
    away = grid.y * np.float32(np.cos(turn)) - grid.x * np.float32(np.sin(turn)) - np.float32(bend) * along**2
    ends = np.abs(along) - np.float32(length / 2)
    width = np.float32(thick) * np.clip(1 + 0.4 * grid.noise(2, rng), 0.2, 2)
    painted = _patch(grid)
    painted.cell[:] = grid.coverage(np.maximum(np.abs(away) - width / 2, ends), 0.4)
    if rng.random() < 0.7:  # the rest is scraped clean
        for name, strength in (("chromatin", rng.uniform(0.1, 0.9)), ("basophilia", rng.uniform(0.0, 0.8))):
            painted.amounts[INDEX[name]] = np.float32(strength) * painted.cell
    return painted


def _drop(um_per_px: float, rng: np.random.Generator) -> Painted:
    """A refractile drop: a bright middle in a dark ring, which shows the red cell below in part."""
    radius = rng.uniform(0.25, 0.9)
    grid = Grid.around(1.6 * radius, um_per_px)
    edge = rounded(grid, radius, 0.35, rng, waves=3)
    ring = np.exp(-((edge / np.float32(0.35 * radius)) ** 2))
    painted = _patch(grid)
    painted.cell[:] = np.maximum(grid.coverage(edge, 0.2), np.float32(0.6) * ring)
    painted.amounts[INDEX["chromatin"]] = np.float32(rng.uniform(0.2, 0.9)) * ring * np.float32(0.6)
    painted.amounts[INDEX["haemoglobin"]] = np.float32(0.6) * ring
    return painted


def _grains(um_per_px: float, rng: np.random.Generator) -> Painted:
    """Grains of precipitated stain: black or violet, alone or in a heap."""
    count = int(rng.choice([1, 1, 1, 2, 4, 12]))
    spread = 0.5 * np.sqrt(count)
    grid = Grid.around(2.5 * spread + 1.2, um_per_px)
    nearest = np.full(grid.shape, np.inf, dtype=np.float32)
    for _ in range(count):
        x, y = rng.normal(0, spread, 2).astype(np.float32)
        nearest = np.minimum(nearest, np.hypot(grid.x - x, grid.y - y) - np.float32(rng.uniform(0.12, 0.7)))
    painted = _patch(grid)
    painted.cell[:] = grid.coverage(nearest, 0.25)
    for name, span in (("chromatin", (0.4, 1.6)), ("basophilia", (0.0, 1.2))):
        painted.amounts[INDEX[name]] = np.float32(rng.uniform(*span)) * painted.cell
    return painted
