"""The shape of the nucleus, class by class.

Every function takes the radius of its cell in micrometres and returns the nucleus as discs on a curve, placed relative
to the centre of the cell. Shapes after Carr & Rodak, Clinical Hematology Atlas, and Bain, Blood Cells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leukopy.synthesis.shapes import String, curve

Shape = Callable[[float, np.random.Generator], String]

FILAMENT_UM = 0.22
"""Half the width of the chromatin threads between the lobes of a granulocyte."""


def _turned(string: String, rng: np.random.Generator, off_centre_um: float) -> String:
    """Turn the nucleus any way, its centre up to ``off_centre_um`` from that of the cell."""
    direction = rng.uniform(0, 2 * np.pi)
    away = off_centre_um * rng.uniform(0.3, 1.0)
    return string.placed(rng.uniform(0, 2 * np.pi), (away * np.cos(direction), away * np.sin(direction)))


def _lobes(count: int, length_um: float, thick_um: float, turn: float, rng: np.random.Generator) -> String:
    """``count`` swellings joined by threads, along a bent line."""
    samples = 22 * count
    points = curve(length_um, turn, samples, twist=rng.normal(0, 0.5))
    step = np.linspace(0, count, samples, endpoint=False)
    within = 2 * (step % 1) - 1
    size = thick_um * rng.uniform(0.88, 1.12, count)[step.astype(int)]
    swelling = size * np.sqrt(np.clip(1 - (np.abs(within) / 0.80) ** 2.6, 0, 1))
    return String(points, np.maximum(swelling, FILAMENT_UM).astype(np.float32)[: len(points)])


def segmented(radius: float, rng: np.random.Generator) -> String:
    """Two to five lobes, mostly three, joined by thin threads (segmented neutrophil)."""
    count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.45, 0.27, 0.08]))
    thick = radius * {2: 0.33, 3: 0.27, 4: 0.235, 5: 0.21}[count] * rng.uniform(0.95, 1.08)
    length = radius * {2: 1.35, 3: 1.85, 4: 2.25, 5: 2.6}[count]
    turn = rng.uniform(*{2: (0.6, 2.4), 3: (2.6, 4.6), 4: (3.6, 5.2), 5: (4.4, 5.6)}[count])
    return _turned(_lobes(count, length, thick, turn, rng), rng, 0.08 * radius)


def bilobed(radius: float, rng: np.random.Generator) -> String:
    """Two plump lobes, now and then three (eosinophil)."""
    count = 2 if rng.random() < 0.85 else 3
    thick = radius * (0.40 if count == 2 else 0.31) * rng.uniform(0.95, 1.05)
    length = radius * (1.35 if count == 2 else 1.7)
    string = _lobes(count, length, thick, rng.uniform(1.2, 3.0), rng)
    return _turned(
        String(string.points, np.maximum(string.radii, np.float32(rng.uniform(0.25, 0.6)))), rng, 0.22 * radius
    )


def band(radius: float, rng: np.random.Generator) -> String:
    """One horseshoe, C or S of nearly even width (band neutrophil)."""
    curved = rng.random() < 0.8
    length = radius * rng.uniform(1.6, 1.9)
    points = curve(length, rng.uniform(2.6, 4.0) if curved else 0.4, 48, twist=0.0 if curved else rng.uniform(2.2, 3.0))
    step = np.linspace(-1, 1, 48)
    waist = 1 - rng.uniform(0.0, 0.22) * np.exp(-((step - rng.uniform(-0.3, 0.3)) ** 2) / 0.08)
    return _turned(String(points, (radius * rng.uniform(0.25, 0.29) * waist).astype(np.float32)), rng, 0.12 * radius)


def kidney(radius: float, rng: np.random.Generator) -> String:
    """A thick bean, indented by less than half its width (metamyelocyte)."""
    points = curve(radius * rng.uniform(0.95, 1.15), rng.uniform(1.5, 2.3), 32)
    step = np.linspace(-1, 1, 32)
    waist = 1 - rng.uniform(0.10, 0.22) * np.exp(-(step**2) / 0.12)
    return _turned(String(points, (radius * rng.uniform(0.39, 0.43) * waist).astype(np.float32)), rng, 0.24 * radius)


def folded(radius: float, rng: np.random.Generator) -> String:
    """Large: a bean, a wide horseshoe, or a lobed and folded mass (monocyte)."""
    deep = rng.random()
    points = curve(radius * (0.75 + 0.55 * deep), 1.5 + 1.9 * deep, 32, twist=rng.normal(0, 0.5))
    step = np.linspace(-1, 1, 32)
    waves = 1 + 0.10 * np.cos(np.pi * rng.uniform(1.0, 2.6) * step + rng.uniform(0, 2 * np.pi))
    width = radius * (0.50 - 0.12 * deep) * rng.uniform(0.95, 1.05)
    return _turned(String(points, (width * waves).astype(np.float32)), rng, 0.15 * radius)


def _oval(share: float, elongation: float, off_centre: float) -> Shape:
    """An oval whose width is ``share`` of the cell's diameter, at most ``elongation`` times longer than wide."""

    def shape(radius: float, rng: np.random.Generator) -> String:
        width = radius * share * rng.uniform(0.95, 1.05)
        length = 2 * width * rng.uniform(0, elongation - 1) + 0.01
        points = curve(length, rng.uniform(0, 0.9), 12)
        return _turned(String(points, np.full(12, width, dtype=np.float32)), rng, off_centre * radius)

    return shape


def lobulated(radius: float, rng: np.random.Generator) -> String:
    """Broad, with two or three blunt lobes that the granules hide (basophil)."""
    string = _lobes(int(rng.integers(2, 4)), radius * 1.35, radius * 0.38, rng.uniform(1.5, 3.0), rng)
    return _turned(String(string.points, np.maximum(string.radii, np.float32(0.24 * radius))), rng, 0.1 * radius)


def none(radius: float, rng: np.random.Generator) -> String:  # noqa: ARG001 - the signature all shapes share
    """No nucleus (platelet)."""
    return String(np.zeros((1, 2), dtype=np.float32), np.array([-1e3], dtype=np.float32))


round_lymphocyte = _oval(0.84, 1.10, 0.12)
oval_myelocyte = _oval(0.62, 1.35, 0.34)
round_promyelocyte = _oval(0.72, 1.22, 0.22)
round_erythroblast = _oval(0.58, 1.05, 0.30)
