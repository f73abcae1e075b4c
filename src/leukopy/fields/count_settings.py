"""Settings of the counts of a slide's fields."""

from __future__ import annotations

import math

from pydantic import Field

from leukopy.core.settings import Settings


class CountSettings(Settings):
    """The laboratory's own platelet estimate."""

    platelet_factor: float = Field(default=15_000, gt=0)
    """Platelets per µL of blood for each platelet of an oil field."""
    oil_field_um: float = Field(default=200, gt=0)
    """Diameter of the oil field that the factor was found with, in µm: the eyepiece's field number by the objective's
    magnification, 20 mm / 100 by default."""

    @property
    def oil_field_area(self) -> float:
        """Area of the oil field, µm²."""
        return math.pi / 4 * self.oil_field_um**2
