"""Shapes of red cells: names, order, the numbers that Chula RBC-12 gives them, and the grades of the ICSH.

Names and grades follow the ICSH (Palmer et al., "ICSH recommendations for the standardization of nomenclature and
grading of peripheral blood cell morphological features", Int J Lab Hematol 37, 287-303, 2015, table 1). This module is
the sole owner of their order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Grading:
    """Shares of the red cells, in %, from which the ICSH grades a shape."""

    moderate: float
    """Least share of grade 2+."""
    many: float
    """Grade 3+ begins above this share."""
    few: bool = False
    """True where smaller shares are grade 1+; the ICSH gives them no grade elsewhere."""

    def grade(self, percent: float) -> str:
        """``3+``, ``2+``, ``1+``, or empty: the ICSH gives no grade."""
        if percent > self.many:
            return "3+"
        if percent >= self.moderate:
            return "2+"
        return "1+" if self.few and percent > 0 else ""


_COMMON = Grading(5, 20)
_BY_ANALYSER = Grading(11, 20)
"""Size and haemoglobin: the ICSH prefers the MCV and MCH of an analyser."""


@dataclass(frozen=True)
class RedCellShape:
    """One shape of a red cell."""

    name: str
    """Name in tables and files."""
    title: str
    """Name for people."""
    rbc12: int
    """Its number in Chula RBC-12."""
    grading: Grading | None = None
    """None: not an abnormality that the ICSH grades."""


SHAPES: tuple[RedCellShape, ...] = (
    RedCellShape("normal", "normal", 0),
    RedCellShape("macrocyte", "macrocyte", 1, _BY_ANALYSER),
    RedCellShape("microcyte", "microcyte", 2, _BY_ANALYSER),
    RedCellShape("spherocyte", "spherocyte", 3, _COMMON),
    RedCellShape("target_cell", "target cell", 4, _COMMON),
    RedCellShape("stomatocyte", "stomatocyte", 5, _COMMON),
    RedCellShape("ovalocyte", "ovalocyte", 6, _COMMON),
    RedCellShape("teardrop", "teardrop cell", 7, _COMMON),
    RedCellShape("echinocyte", "echinocyte (burr cell)", 8, _COMMON),
    RedCellShape("schistocyte", "schistocyte", 9, Grading(1, 2, few=True)),
    RedCellShape("uncategorised", "uncategorised", 10),
    RedCellShape("hypochromic", "hypochromic cell", 11, _BY_ANALYSER),
    RedCellShape("elliptocyte", "elliptocyte", 12, _COMMON),
)
"""Shapes, in the order of a network's outputs."""

SHAPE_NAMES: tuple[str, ...] = tuple(shape.name for shape in SHAPES)

NORMAL = "normal"

UNCATEGORISED = "uncategorised"
"""A cell of none of the named shapes, in RBC-12 mostly two that overlap; never graded."""

SIZE_SHAPES: tuple[str, ...] = ("macrocyte", "microcyte")
"""Shapes defined by the diameter alone. They need a known scale: one taken from the red cells themselves calls the mean
red cell normal, however large it is."""


def shapes_digest() -> str:
    """Digest of the names and their order, as a bundle of shapes states it."""
    return hashlib.sha256("\n".join(SHAPE_NAMES).encode()).hexdigest()[:16]
