"""Red cells and platelets of a case's fields: what was found, and what the reader says of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from leukopy.core.settings import Settings
from leukopy.review.records.values import LongText, Number
from leukopy.taxonomy.red_cell_shapes import SHAPES

Grade = Literal["none", "1+", "2+", "3+"]
GRADED = tuple(shape.name for shape in SHAPES if shape.grading is not None)
"""Shapes that the ICSH grades."""


class Estimated(Settings):
    """A figure with its 95 % limits; None: unknown."""

    value: float | None
    low: float | None
    high: float | None


class ShapeView(Settings):
    """One shape of the red cells, as the network counted it."""

    name: str
    count: int
    """Cells that surely have it."""
    percent: Estimated
    """Of the judged red cells."""
    grade: str
    """ICSH grade, or the grades at both limits; empty without one."""


class SmearFindings(Settings):
    """What the reader says of red cells and platelets."""

    platelets: float | None = Field(default=None, ge=0, le=10_000)
    """10⁹/L; None: the estimate of the fields stands."""
    clumps: bool | None = None
    """Platelet clumps were seen; None: not said."""
    shapes: dict[Annotated[str, StringConstraints(max_length=40)], Grade] = Field(default_factory=dict)
    """Grade of a shape, by its name."""
    comment: LongText = ""

    @field_validator("shapes")
    @classmethod
    def _known(cls, shapes: dict[str, Grade]) -> dict[str, Grade]:
        """Only shapes that the ICSH grades have a grade."""
        if unknown := sorted(shapes.keys() - set(GRADED)):
            raise ValueError(f"no shape of red cells that is graded: {', '.join(unknown)}")
        return shapes


class SmearChange(Settings):
    """Other findings, on a known version of the case."""

    version: Number
    findings: SmearFindings


class SmearView(Settings):
    """Red cells and platelets of the fields of a case."""

    fields: int
    """Fields in use."""
    red_cells: int
    platelets: int
    clumps: int
    platelet_estimate: Estimated
    """10⁹/L."""
    platelets_refused: str
    """Why there is no estimate; empty where there is one."""
    judged: int
    """Red cells whose shape was judged."""
    shapes: tuple[ShapeView, ...]
    """Those that the ICSH grades."""
    shapes_refused: str
    """Why there are no shares; empty where there are some."""
    findings: SmearFindings = SmearFindings()
    by: str | None = None
    """The reader who gave the findings."""


class FieldObject(Settings):
    """An object that the detector found on a field."""

    kind: str
    """``leukocyte``, ``red_cell``, ``platelet`` or ``platelet_clump``."""
    box: tuple[float, float, float, float]
    """Left, top, width and height in pixels of the field."""
    shape: str | None = None
    """The sure shape of a red cell."""
