"""The shape of the nucleus, class by class.

Every function takes the radius of its cell in micrometres and returns the nucleus as discs on a curve, placed relative
to the centre of the cell. Shapes after Carr & Rodak, Clinical Hematology Atlas, and Bain, Blood Cells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.shapes import String, curve

Shape = Callable[[float, np.random.Generator], String]

THREAD_UM = 0.2
"""Half the width of the chromatin threads between the lobes of a granulocyte."""


def _turned(string: String, rng: np.random.Generator, off_centre_um: float) -> String:
    """Rotate the nucleus at random, its centre up to ``off_centre_um`` from the cell's."""
    direction = rng.uniform(0, 2 * np.pi)
    away = off_centre_um * rng.uniform(0.3, 1.0)
    return string.placed(rng.uniform(0, 2 * np.pi), (away * np.cos(direction), away * np.sin(direction)))


def _within(string: String, radius: float) -> String:
    """The nucleus, shrunk where necessary to lie clear of the cell's edge."""
    reach = (np.hypot(*string.points.T) + string.radii).max()
    shrink = np.float32(min(1.0, 0.96 * radius / reach))
    return String(string.points * shrink, string.radii * shrink)


def _lobes(
    half_lengths: NDArray[np.float64], width: float, gap: float, bend: tuple[float, float], bridge: float
) -> String:
    """Elliptic lobes on a bent line, joined by bridges.

    An ellipse of half axes a > b is the union of discs of radius b sqrt(1 - t^2 / (a^2 - b^2)) centred on its long
    axis at |t| <= (a^2 - b^2) / a.

    Args:
        half_lengths: half the length of each lobe (a), micrometres.
        width: half the width of each lobe as a share of its half length (b / a), below 1.
        gap: length of the bridge between two lobes, micrometres.
        bend: radians by which the line bends in all, and by which its halves bend against each other.
        bridge: half the width of the bridges, micrometres.
    """
    slots = 2 * half_lengths + gap
    ends = np.cumsum(slots)
    samples = 20 * len(slots)
    along = np.linspace(0, ends[-1], samples)
    lobe = np.minimum(np.searchsorted(ends, along), len(slots) - 1)
    offset = along - (ends - slots / 2)[lobe]
    long_axis = half_lengths[lobe]
    focus = long_axis**2 * (1 - width**2)
    radii = width * long_axis * np.sqrt(np.clip(1 - offset**2 / focus, 0, 1))
    outside = np.abs(offset) > focus / long_axis
    edges = (along < slots[0] / 2) | (along > ends[-1] - slots[-1] / 2)
    radii = np.where(outside, np.where(edges, 0.05, bridge), np.maximum(radii, bridge))
    return String(curve(float(ends[-1]), bend[0], samples, bend[1]), radii.astype(np.float32))


def segmented(radius: float, rng: np.random.Generator) -> String:
    """Two to five lobes, mostly three, joined by thin threads (segmented neutrophil)."""
    count = int(rng.choice([2, 3, 4, 5], p=[0.22, 0.46, 0.25, 0.07]))
    size = radius * {2: 0.54, 3: 0.45, 4: 0.38, 5: 0.33}[count]
    half_lengths = size * rng.uniform(0.85, 1.15, count)
    turn = rng.uniform(*{2: (1.4, 2.6), 3: (3.2, 4.4), 4: (4.4, 5.2), 5: (4.9, 5.5)}[count])
    width = rng.uniform(0.76, 0.92)
    return _within(
        _turned(
            _lobes(half_lengths, width, rng.uniform(0.25, 0.6), (turn, rng.normal(0, 0.3)), THREAD_UM),
            rng,
            0.10 * radius,
        ),
        radius,
    )


def bilobed(radius: float, rng: np.random.Generator) -> String:
    """Two plump lobes, occasionally three (eosinophil)."""
    count = 2 if rng.random() < 0.87 else 3
    half_lengths = radius * (0.53 if count == 2 else 0.43) * rng.uniform(0.9, 1.1, count)
    bridge = rng.uniform(0.2, 0.6)
    return _within(
        _turned(_lobes(half_lengths, 0.84, 0.5, (rng.uniform(1.4, 2.6), 0.0), bridge), rng, 0.18 * radius), radius
    )


def lobulated(radius: float, rng: np.random.Generator) -> String:
    """Two or three blunt, broad lobes, hidden by the granules (basophil)."""
    count = int(rng.integers(2, 4))
    half_lengths = radius * (0.52 if count == 2 else 0.42) * rng.uniform(0.9, 1.1, count)
    return _turned(_lobes(half_lengths, 0.88, 0.1, (rng.uniform(1.2, 2.6), 0.0), 0.28 * radius), rng, 0.1 * radius)


def band(radius: float, rng: np.random.Generator) -> String:
    """One horseshoe, C or S of nearly even width (band neutrophil)."""
    curved = rng.random() < 0.82
    length = radius * rng.uniform(1.75, 2.05)
    turn, twist = (rng.uniform(2.9, 4.3), 0.0) if curved else (0.3, rng.uniform(2.0, 2.8))
    points = curve(length, turn, 40, twist)
    step = np.linspace(-1, 1, 40)
    waist = 1 - rng.uniform(0.0, 0.25) * np.exp(-((step - rng.uniform(-0.3, 0.3)) ** 2) / 0.08)
    return _within(
        _turned(String(points, (radius * rng.uniform(0.28, 0.325) * waist).astype(np.float32)), rng, 0.14 * radius),
        radius,
    )


def kidney(radius: float, rng: np.random.Generator) -> String:
    """A thick bean, indented by less than half its width (metamyelocyte)."""
    points = curve(radius * rng.uniform(0.95, 1.2), rng.uniform(1.5, 2.4), 24)
    step = np.linspace(-1, 1, 24)
    waist = 1 - rng.uniform(0.08, 0.2) * np.exp(-(step**2) / 0.12)
    return _turned(String(points, (radius * rng.uniform(0.44, 0.48) * waist).astype(np.float32)), rng, 0.26 * radius)


def folded(radius: float, rng: np.random.Generator) -> String:
    """Large: a bean, a wide horseshoe, or a lobed and folded mass (monocyte)."""
    deep = rng.random()
    points = curve(radius * (0.8 + 0.5 * deep), 1.7 + 1.9 * deep, 24)
    step = np.linspace(-1, 1, 24)
    waves = 1 + 0.13 * np.cos(np.pi * rng.uniform(1.0, 2.4) * step + rng.uniform(0, 2 * np.pi))
    width = radius * (0.48 - 0.11 * deep) * rng.uniform(0.95, 1.05)
    return _within(_turned(String(points, (width * waves).astype(np.float32)), rng, 0.16 * radius), radius)


def _oval(share: float, elongation: float, off_centre: float) -> Shape:
    """An oval whose width is ``share`` of the cell's diameter, at most ``elongation`` times longer than wide."""

    def shape(radius: float, rng: np.random.Generator) -> String:
        width = radius * share * rng.uniform(0.94, 1.06)
        length = 2 * width * rng.uniform(0, elongation - 1) + 0.01
        points = curve(length, rng.uniform(0, 0.9), 10)
        return _turned(String(points, np.full(10, width, dtype=np.float32)), rng, off_centre * radius)

    return shape


def none(radius: float, rng: np.random.Generator) -> String:  # noqa: ARG001 - the signature all shapes share
    """No nucleus (platelet)."""
    return String(np.zeros((1, 2), dtype=np.float32), np.array([-1e3], dtype=np.float32))


round_lymphocyte = _oval(0.85, 1.12, 0.12)
round_small_lymphocyte = _oval(0.92, 1.05, 0.05)
oval_large_lymphocyte = _oval(0.60, 1.30, 0.30)
oval_myelocyte = _oval(0.60, 1.35, 0.36)
round_promyelocyte = _oval(0.72, 1.20, 0.24)
round_erythroblast = _oval(0.58, 1.06, 0.32)
