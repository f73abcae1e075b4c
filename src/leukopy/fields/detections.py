"""Objects found on one field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from leukopy.taxonomy.objects import OBJECTS


class ShapeNames(NamedTuple):
    """Shapes of the objects of one field; only separate whole red cells have one."""

    shapes: NDArray[np.int64]
    """(n,): index in ``SHAPES`` of the likeliest shape; -1 for an object that was not judged."""
    probabilities: NDArray[np.float64]
    """(n,): of that shape."""
    sure: NDArray[np.bool_]
    """(n,): the probability suffices for this shape, and the cell resembles those that the network learnt from."""

    @classmethod
    def none(cls, count: int) -> Self:
        """No object of ``count`` was judged."""
        return cls(np.full(count, -1), np.full(count, np.nan), np.zeros(count, bool))


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
    shapes: ShapeNames | None = None
    """None where no shapes are named."""

    @classmethod
    def none(cls) -> Self:
        """No objects."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def of(self, kind: str) -> Self:
        """The objects of one kind of ``OBJECTS``, in the same order, without their shapes."""
        chosen = self.kinds == OBJECTS.index(kind)
        return type(self)(self.boxes[chosen], self.kinds[chosen], self.scores[chosen], self.red_cell_px)
