"""Outlines in micrometres, as signed distances: negative inside, zero on the edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.texture import Plane, granules, noise


@dataclass(frozen=True)
class Grid:
    """A square patch of the slide, centred on the cell."""

    x: Plane
    """(side, side), micrometres to the right of the centre."""
    y: Plane
    """(side, side), micrometres below the centre."""
    um_per_px: float

    @classmethod
    def around(cls, radius_um: float, um_per_px: float) -> Grid:
        """The patch that contains a disc of ``radius_um`` about the middle pixel."""
        half = int(np.ceil(radius_um / um_per_px)) + 2
        line = np.arange(-half, half + 1, dtype=np.float32) * np.float32(um_per_px)
        x, y = np.meshgrid(line, line)
        return cls(x, y, um_per_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.x.shape[0], self.x.shape[1]

    def noise(self, scale_um: float, rng: np.random.Generator) -> Plane:
        """Texture whose blobs have a standard radius of ``scale_um``."""
        return noise(self.shape, scale_um / self.um_per_px, rng)

    def granules(self, radius_um: float, density: float, rng: np.random.Generator) -> Plane:
        """Round granules of about ``radius_um``: 0 outside, 1 inside; ``density`` 1 packs them side by side."""
        return granules(self.shape, radius_um / self.um_per_px, density, rng)

    def warped(self, amount_um: float, scale_um: float, rng: np.random.Generator) -> Grid:
        """The same patch with distorted coordinates: outlines drawn on it become irregular."""
        amount = np.float32(amount_um)
        return Grid(
            self.x + amount * self.noise(scale_um, rng), self.y + amount * self.noise(scale_um, rng), self.um_per_px
        )

    def coverage(self, distance: Plane, softness_um: float = 0.12) -> Plane:
        """Share of each pixel inside an outline, 0 to 1, with an edge ``softness_um`` wide (at least a pixel)."""
        width = np.float32(max(softness_um, self.um_per_px))
        inside: Plane = np.clip(0.5 - distance / width, 0, 1)
        return inside


@dataclass(frozen=True)
class String:
    """Discs strung on a curve: a nucleus of any number of lobes."""

    points: NDArray[np.float32]
    """(n, 2), micrometres."""
    radii: NDArray[np.float32]
    """(n,), micrometres."""

    def distance(self, grid: Grid) -> Plane:
        """Signed distance to the union of the discs, shape of the grid."""
        nearest = np.full(grid.shape, np.inf, dtype=np.float32)
        for (x, y), radius in zip(self.points, self.radii, strict=True):  # one plane at a time stays in the cache
            np.minimum(nearest, np.sqrt((grid.x - x) ** 2 + (grid.y - y) ** 2) - radius, out=nearest)
        return nearest

    def placed(self, angle: float, shift_um: tuple[float, float] = (0.0, 0.0)) -> String:
        """The nucleus centred, rotated about the origin, then moved by ``shift_um``."""
        weights = self.radii**2
        centred = self.points - np.average(self.points, axis=0, weights=weights)
        cos, sin = np.cos(angle), np.sin(angle)
        turned = centred @ np.array([[cos, sin], [-sin, cos]]) + np.array(shift_um)
        return String(turned.astype(np.float32), self.radii)


def curve(length_um: float, turn: float, samples: int = 48, twist: float = 0.0) -> NDArray[np.float32]:
    """Points along a bent line.

    Args:
        length_um: its length.
        turn: total bend in radians, uniform (a horseshoe: about pi to 3/2 pi).
        samples: number of points.
        twist: opposite bend of its two halves, in radians (an S).
    """
    step = np.linspace(-0.5, 0.5, samples)
    heading = turn * step + twist * np.cos(2 * np.pi * step) / 2
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0) * (length_um / (samples - 1))
    return points.astype(np.float32)


def rounded(grid: Grid, radius_um: float, waviness: float, rng: np.random.Generator, waves: int = 5) -> Plane:
    """Signed distance (approximate, exact on the edge) to a closed outline about the origin.

    Args:
        grid: the grid of the distances.
        radius_um: mean radius.
        waviness: relative size of the departures from a circle.
        rng: their sizes and phases.
        waves: the highest number of waves around the outline.
    """
    angle = np.arctan2(grid.y, grid.x)
    radius = np.ones(grid.shape, dtype=np.float32)
    for wave in range(2, waves + 1):
        size = waviness * rng.normal() / wave
        radius += np.float32(size) * np.cos(wave * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    outline: Plane = np.hypot(grid.x, grid.y) - np.float32(radius_um) * radius
    return outline
