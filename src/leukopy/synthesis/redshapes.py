"""Shapes of red cells: the twelve classes of the Chulalongkorn RBC-12 set, but its rest class.

Descriptions and sizes: Bain, Blood Cells; ICSH recommendations for the grading of red-cell morphology (Palmer et al.
2015). Class names of RBC-12: Naruenatthanaset et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.shapes import Grid
from leukopy.synthesis.texture import Plane
from leukopy.taxonomy.objects import RED_CELL_UM

Span = tuple[float, float]

_ANGLES = np.linspace(-np.pi, np.pi, 97)


@dataclass(frozen=True)
class RedShape:
    """One class. Lengths are shares of a normal red cell's diameter or radius."""

    diameter: Span = (0.92, 1.08)
    aspect: Span = (1.0, 1.12)
    """Long axis over short axis."""
    pallor: Span = (0.5, 1.3)
    """Factor of the smear's pallor of the centre."""
    pale_width: Span = (0.85, 1.15)
    """Factor of the smear's radius of the pale centre."""
    amount: Span = (0.92, 1.08)
    """Factor of the haemoglobin where it is thickest."""
    bump: Span = (0.0, 0.0)
    """Haemoglobin in the middle of the pale centre (target)."""
    slit: bool = False
    """The pale centre is a slit (stomatocyte)."""
    spikes: Span = (0.0, 0.0)
    """Height of regular spikes, as a share of the radius (burr cell)."""
    tail: Span = (0.0, 0.0)
    """Length of one tail, as a share of the radius (teardrop)."""
    cuts: tuple[int, int] = (0, 0)
    """Fewest and most straight cuts (schistocyte)."""


SHAPES: dict[str, RedShape] = {
    "normal": RedShape(),
    "macrocyte": RedShape(diameter=(1.2, 1.45)),
    "microcyte": RedShape(diameter=(0.58, 0.8)),
    "spherocyte": RedShape(diameter=(0.74, 0.92), aspect=(1.0, 1.05), pallor=(0.0, 0.1), amount=(1.15, 1.45)),
    "target": RedShape(diameter=(0.95, 1.25), pallor=(1.0, 1.6), pale_width=(1.15, 1.5), bump=(0.7, 1.0)),
    "stomatocyte": RedShape(diameter=(0.92, 1.12), pallor=(1.0, 1.6), pale_width=(0.9, 1.2), slit=True),
    "ovalocyte": RedShape(aspect=(1.25, 1.6)),
    "teardrop": RedShape(diameter=(0.75, 1.05), aspect=(1.0, 1.25), tail=(0.35, 1.1)),
    "burr": RedShape(diameter=(0.85, 1.05), spikes=(0.05, 0.11), pallor=(0.3, 1.1)),
    "schistocyte": RedShape(diameter=(0.6, 1.0), aspect=(1.0, 1.5), pallor=(0.0, 0.5), cuts=(1, 3)),
    "hypochromia": RedShape(diameter=(0.85, 1.1), pallor=(1.6, 2.2), pale_width=(1.4, 1.75), amount=(0.6, 0.85)),
    "elliptocyte": RedShape(diameter=(0.9, 1.1), aspect=(1.7, 3.0)),
}
"""The shapes, in the order of the codes of RBC-12."""


@dataclass(frozen=True)
class RedStyle:
    """Common properties of the red cells of one field."""

    amount: float = 1.0
    """Haemoglobin where they are thickest."""
    pallor: float = 0.5
    """0: no pale centre; 1: the centre is nearly clear."""
    pale_width: float = 0.4
    """Radius of the pale centre, as a share of the cell's."""
    waviness: float = 0.1
    """Relative departure from a circle."""
    size: float = 1.0
    """Mean diameter over that of a normal red cell."""
    spread: float = 0.05
    """Coefficient of variation of the diameter (half of an RDW by area)."""
    rim: float = 0.0
    """Deeper staining of the very edge."""


@dataclass(frozen=True)
class RedPatch:
    """A red cell on its patch, centred on the middle pixel."""

    haemoglobin: Plane
    """(side, side)."""
    mask: NDArray[np.bool_]
    """(side, side), the cell."""


def paint_shape(shape: str, style: RedStyle, um_per_px: float, rng: np.random.Generator) -> RedPatch:
    """Paint one red cell.

    Args:
        shape: a key of ``SHAPES``.
        style: the field's.
        um_per_px: micrometres per pixel.
        rng: size, outline and direction.
    """
    look = SHAPES[shape]
    factor = rng.uniform(*look.diameter) * style.size * float(np.clip(rng.normal(1, style.spread), 0.7, 1.4))
    radius = RED_CELL_UM / 2 * factor
    outline = _outline(look, style, rng)
    stretch = float(np.sqrt(rng.uniform(*look.aspect)))
    grid = Grid.around(radius * stretch * float(outline.max()) + 0.4, um_per_px)
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x = (grid.x * cos + grid.y * sin) * np.float32(1 / (radius * stretch))
    y = (grid.y * cos - grid.x * sin) * np.float32(stretch / radius)
    from_centre: Plane = np.hypot(x, y)
    limit = np.interp(np.arctan2(y, x), _ANGLES, outline).astype(np.float32)
    across: Plane = from_centre / limit  # 0 at the centre, 1 at the edge
    edge = (from_centre - limit) * np.float32(radius / stretch)
    thickness = _thickness(look, style, (x, y), across, rng)
    if style.rim:
        thickness += np.float32(style.rim) * np.exp(-((edge / np.float32(0.3)) ** 2))
    amount = np.float32(style.amount * rng.uniform(*look.amount))
    haemoglobin: Plane = amount * thickness * grid.coverage(edge, 0.35)
    return RedPatch(haemoglobin, edge < 0)


def _outline(look: RedShape, style: RedStyle, rng: np.random.Generator) -> NDArray[np.float64]:
    """Radius at ``_ANGLES``, relative to the mean."""
    radius = np.ones_like(_ANGLES)
    for wave in (2, 3, 4):
        radius += style.waviness * rng.normal() / wave * np.cos(wave * _ANGLES + rng.uniform(0, 2 * np.pi)) * 0.6
    radius = np.clip(radius, 0.7, 1.35)
    if look.spikes[1]:
        count = int(rng.integers(9, 16))
        crest = 0.5 + 0.5 * np.cos(count * _ANGLES + rng.uniform(0, 6) + 0.5 * np.sin(_ANGLES + rng.uniform(0, 6)))
        radius *= 1 + rng.uniform(*look.spikes) * (2 * crest**2 - 0.7)
    if look.tail[1]:
        away = np.abs(_ANGLES) / rng.uniform(0.28, 0.5)
        radius *= 1 + rng.uniform(*look.tail) * np.exp(-(away**1.3))
    for _ in range(int(rng.integers(look.cuts[0], look.cuts[1] + 1))):
        towards = np.cos(_ANGLES - rng.uniform(-np.pi, np.pi))
        line = rng.uniform(0.15, 0.6) / np.maximum(towards, 1e-3)
        radius = np.minimum(radius, np.maximum(line, 0.15))
    return radius


def _thickness(
    look: RedShape, style: RedStyle, at: tuple[Plane, Plane], across: Plane, rng: np.random.Generator
) -> Plane:
    """Relative thickness: a disc with a pale centre."""
    width = style.pale_width * rng.uniform(*look.pale_width)
    if look.slit:
        x, y = at
        slit = np.hypot(x / np.float32(rng.uniform(1.3, 1.9)), y / np.float32(rng.uniform(0.3, 0.55)))
        across = np.maximum(slit, np.float32(1.2) * np.clip(across - np.float32(0.45), 0, 1))
    rise = _smooth((across - np.float32(width - 0.22)) / np.float32(0.44))
    pallor = np.float32(np.clip(style.pallor * rng.uniform(*look.pallor), 0, 0.95))
    thickness = 1 - pallor * (1 - rise)
    if look.bump[1]:
        middle = 1 - _smooth((across - np.float32(0.3 * width)) / np.float32(0.3))
        thickness += pallor * np.float32(rng.uniform(*look.bump)) * middle
    thickness *= 1 - np.float32(0.25) * np.clip(across, 0, 1) ** 8  # cells are rounded off at the edge
    return thickness


def _smooth(step: Plane) -> Plane:
    """Smooth step from 0 to 1."""
    inside = np.clip(step, 0, 1)
    smooth: Plane = inside * inside * (3 - 2 * inside)
    return smooth
