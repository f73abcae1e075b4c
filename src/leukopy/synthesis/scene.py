"""Conditions of a field: the place on the smear, its red cells, what disturbs it, and how it was photographed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.synthesis.redshapes import SHAPES

Zone = Literal["empty", "thin", "monolayer", "thick"]

COVERAGE: dict[Zone, tuple[float, float]] = {
    "empty": (0.0, 0.0),
    "thin": (0.08, 0.3),
    "monolayer": (0.3, 0.62),
    "thick": (0.75, 1.3),
}
"""Area of the red cells over the area of the field, overlaps counted twice."""


class Scene(Settings):
    """Every condition has a level; the defaults are a clean monolayer in good focus."""

    zone: Zone = "monolayer"
    coverage: float = Field(default=0.5, ge=0, le=2)
    """Area of the red cells over the area of the field, overlaps counted twice."""
    apart: float = Field(default=0.95, ge=0.3, le=1.5)
    """Least distance between the centres of red cells, in diameters; below 1 they overlap."""
    gaps: float = Field(default=0.2, ge=0, le=0.9)
    """Share of the field that red cells leave empty, in patches."""
    rouleaux: float = Field(default=0.0, ge=0, le=1)
    """Share of the red cells in chains."""
    shapes: dict[str, float] = Field(default_factory=lambda: {"normal": 1.0})
    """Weight of each shape of red cells, by its name."""
    red_size: float = Field(default=1.0, ge=0.6, le=1.5)
    """Mean diameter of red cells over 7.5 um."""
    red_spread: float = Field(default=0.05, ge=0, le=0.3)
    """Coefficient of variation of the diameter."""
    pale_width: float = Field(default=0.4, ge=0.1, le=0.8)
    """Radius of the pale centre, as a share of the cell's."""
    waviness: float = Field(default=0.1, ge=0, le=0.5)
    """Relative departure of red cells from a circle."""
    rim: float = Field(default=0.0, ge=0, le=1)
    """Deeper staining of the edge of red cells."""
    platelets: float = Field(default=0.05, ge=0, le=1)
    """Platelets per red cell of a monolayer."""
    clumps: int = Field(default=0, ge=0, le=10)
    """Platelet clumps."""
    cut: bool = True
    """The border cuts leukocytes and platelets too; otherwise they lie wholly inside."""
    touching: float = Field(default=0.0, ge=0, le=1)
    """Share of the leukocytes laid against another."""
    smudges: int = Field(default=0, ge=0, le=10)
    """Smudge cells: nuclei smeared out."""
    bare_nuclei: int = Field(default=0, ge=0, le=10)
    precipitate: float = Field(default=0.0, ge=0, le=1)
    """Grains of stain: 0 none, 1 a dirty smear."""
    folds: int = Field(default=0, ge=0, le=10)
    """Fibres, folds and scratches."""
    bubbles: int = Field(default=0, ge=0, le=40)
    """Refractile drops on the cells."""
    defocus_um: float = Field(default=0.0, ge=0, le=3)
    """Standard deviation of the blur out of focus, in micrometres."""
    defocus_part: bool = False
    """Only a part of the field is out of focus."""
    refraction: float = Field(default=0.0, ge=-3, le=3)
    """Bright (above 0) or dark (below 0) rims of cells slightly out of focus."""
    fringes: float = Field(default=0.0, ge=-1, le=1)
    """Colour fringes of these rims."""
    vignette: float = Field(default=0.0, ge=0, le=0.8)
    """Fall of the light towards the corners, as a share."""
    cast: float = Field(default=0.0, ge=0, le=0.3)
    """Change of the light's colour over the field, as a share."""
    jpeg_quality: int | None = Field(default=None, ge=5, le=100)
    """Quality of the camera's JPEG; None: no loss."""


def random_scene(seed: int) -> Scene:
    """Conditions at random: every level occurs, most fields are plain."""
    rng = np.random.default_rng([seed, 104729])
    zone: Zone = ("empty", "thin", "monolayer", "thick")[int(rng.choice(4, p=[0.04, 0.18, 0.56, 0.22]))]
    often = {name: rng.random() for name in ("rouleaux", "shapes", "dirt", "defocus", "rims", "jpeg", "touching")}
    overlap = rng.random()
    return Scene(
        zone=zone,
        coverage=float(rng.uniform(*COVERAGE[zone])),
        apart=float(rng.uniform(0.4, 0.75) if zone == "thick" else 0.62 + 0.45 * np.sqrt(overlap)),
        gaps=float(rng.uniform(0, 0.25) if zone == "thick" else 0.55 * rng.beta(1.2, 2)),
        rouleaux=float(rng.uniform(0.1, 0.8)) if often["rouleaux"] < 0.2 else 0.0,
        shapes=_random_shapes(often["shapes"], rng),
        red_size=float(np.clip(rng.normal(1, 0.07), 0.75, 1.3)),
        red_spread=float(rng.uniform(0.03, 0.12)),
        pale_width=float(rng.uniform(0.22, 0.6)),
        waviness=float(0.02 + 0.22 * rng.beta(1.3, 2.5)),
        rim=float(rng.uniform(0, 0.5)) if rng.random() < 0.4 else 0.0,
        platelets=float(0.25 * rng.beta(1, 4)),
        clumps=int(rng.random() < 0.12) * int(rng.integers(1, 4)),
        touching=float(rng.uniform(0.2, 1)) if often["touching"] < 0.3 else 0.0,
        smudges=int(rng.random() < 0.1) * int(rng.integers(1, 3)),
        bare_nuclei=int(rng.random() < 0.08) * int(rng.integers(1, 3)),
        precipitate=float(rng.beta(1, 3)) if often["dirt"] < 0.4 else 0.0,
        folds=int(rng.integers(1, 4)) if rng.random() < 0.12 else 0,
        bubbles=int(rng.integers(1, 25)) if rng.random() < 0.12 else 0,
        defocus_um=float(rng.uniform(0.2, 1.1)) if often["defocus"] < 0.25 else 0.0,
        defocus_part=bool(often["defocus"] < 0.12),
        refraction=float(rng.uniform(-1.0, 1.5)) if often["rims"] < 0.5 else 0.0,
        fringes=float(rng.uniform(-0.7, 0.7)) if often["rims"] < 0.25 else 0.0,
        vignette=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.35 else 0.0,
        cast=float(rng.uniform(0.02, 0.2)) if rng.random() < 0.25 else 0.0,
        jpeg_quality=int(rng.integers(25, 96)) if often["jpeg"] < 0.6 else None,
    )


def _random_shapes(chance: float, rng: np.random.Generator) -> dict[str, float]:
    """Normal cells alone, or with a few others, or a smear on which one shape prevails."""
    names = list(SHAPES)
    if chance < 0.35:
        return {"normal": 0.96, "ovalocyte": 0.04}
    others = rng.permutation(names[1:])
    if chance < 0.85:
        weights = rng.dirichlet(np.full(len(others), 0.4)) * rng.uniform(0.05, 0.6)
        return {"normal": float(1 - weights.sum())} | {
            str(name): float(weight) for name, weight in zip(others, weights, strict=True)
        }
    return {str(others[0]): 0.7, str(others[1]): 0.15, "normal": 0.15}
