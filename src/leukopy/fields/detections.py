"""Objects found on one field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from leukopy.taxonomy.objects import OBJECTS


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects on one field, the highest score first."""

    boxes: NDArray[np.float32]
    """Shape (n, 4): left, top, width and height in pixels of the field; a box may reach beyond the border."""
    kinds: NDArray[np.int64]
    """Shape (n,): index in ``OBJECTS``."""
    scores: NDArray[np.float32]
    """Shape (n,): 0 to 1."""
    red_cell_px: float | None = None
    """Diameter of a red cell on this field, in pixels; None where too few red cells allow no measurement."""

    @classmethod
    def none(cls) -> Self:
        """No objects."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def of(self, kind: str) -> Self:
        """The objects of one kind of ``OBJECTS``, in the same order."""
        chosen = self.kinds == OBJECTS.index(kind)
        return type(self)(self.boxes[chosen], self.kinds[chosen], self.scores[chosen], self.red_cell_px)
