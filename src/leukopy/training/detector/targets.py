"""Targets on the maps of a canvas, and the losses.

Gaussians around the centres weigh the boxes (Liu et al., "Training-time-friendly network for real-time object
detection", AAAI 2020); focal loss of the centres (Law and Deng, "CornerNet", ECCV 2018); generalised IoU of the boxes
(Rezatofighi et al., CVPR 2019); cross-entropy of the predicted overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from leukopy.models.detector import STRIDE, Maps
from leukopy.taxonomy.objects import OBJECTS

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the canvas."""

_SIGMA = 0.54 / 6
"""Deviation of a Gaussian, in sides of its box."""
_LEAST = 0.02
"""Gaussian below which a cell of the map tells nothing of a box."""


class Targets:
    """Targets of one canvas, at a quarter of its side; K is ``len(OBJECTS)``. Nothing is known at first."""

    def __init__(self, side: int) -> None:
        cells = side // STRIDE
        self.heat = np.zeros((len(OBJECTS), cells, cells), np.float32)
        """(K, h, w): 1 at the cell of a centre, less around it."""
        self.known = np.zeros_like(self.heat)
        """(K, h, w): 1 where ``heat`` counts."""
        self.weight = np.zeros_like(self.heat)
        """(K, h, w): weight of the box at this cell, 0 to 1."""
        self.edges = np.zeros((len(OBJECTS), 4, cells, cells), np.float32)
        """(K, 4, h, w): left, top, right and bottom of that box in pixels of the canvas."""
        self.middles = (np.arange(cells, dtype=np.float32) + 0.5) * STRIDE

    def absent(self, kind: int, area: Edges) -> None:
        """Where nothing is marked in ``area``, no object of this kind has its centre."""
        self.known[kind][self._within(area)] = 1

    def unknown(self, kind: int, area: Edges) -> None:
        """Objects of this kind may lie in ``area``."""
        spot = self._within(area)
        self.known[kind][spot] = (self.heat[kind][spot] > 0).astype(np.float32)

    def present(self, kind: int, box: Edges) -> None:
        """Add an object."""
        left, top, right, bottom = box
        column, row = (int((low + high) / 2 / STRIDE) for low, high in ((left, right), (top, bottom)))
        column, row = min(column, len(self.middles) - 1), min(row, len(self.middles) - 1)
        wide, high = (max(_SIGMA * (end - start) / STRIDE, 0.4) for start, end in ((left, right), (top, bottom)))
        places = np.arange(len(self.middles), dtype=np.float32)
        bell = np.exp(-((places - row) ** 2)[:, None] / (2 * high**2) - ((places - column) ** 2) / (2 * wide**2))
        bell[bell < _LEAST] = 0
        mine = bell > np.where(self.heat[kind] < 1, self.heat[kind], 1)
        self.known[kind][bell > 0] = 1
        self.weight[kind][mine] = bell[mine]
        self.edges[kind][:, mine] = np.array(box, np.float32)[:, None]
        self.heat[kind] = np.maximum(self.heat[kind], bell)

    def planes(self) -> NDArray[np.float32]:
        """All targets as (K, 7, h, w): heat, known, weight and the four edges."""
        first = np.stack([self.heat, self.known, self.weight], axis=1)
        return np.concatenate([first, self.edges], axis=1)

    def _within(self, area: Edges) -> tuple[slice, slice]:
        """The cells whose middles lie in ``area``."""
        left, top, right, bottom = (int(np.searchsorted(self.middles, edge)) for edge in area)
        return slice(top, max(top, bottom)), slice(left, max(left, right))


class Losses(NamedTuple):
    """The three losses of a batch."""

    heat: Tensor
    box: Tensor
    quality: Tensor

    @property
    def total(self) -> Tensor:
        """Their weighted sum."""
        return self.heat + 2 * self.box + 0.5 * self.quality


def losses(maps: Maps, planes: Tensor) -> Losses:
    """Losses of a batch.

    Args:
        maps: of N canvases.
        planes: `Targets.planes` of each, (N, K, 7, h, w).
    """
    heat, known, weight, edges = planes[:, :, 0], planes[:, :, 1], planes[:, :, 2], planes[:, :, 3:]
    overlap, generalised = _overlaps(maps.sides, edges)
    total = weight.sum().clamp(min=1)
    box = ((1 - generalised) * weight).sum() / total
    told = functional.binary_cross_entropy_with_logits(maps.quality, overlap.detach(), reduction="none")
    return Losses(_focal(maps.heat, heat, known), box, (told * weight).sum() / total)


def _focal(logits: Tensor, heat: Tensor, known: Tensor) -> Tensor:
    centre = (heat == 1).float()
    p = torch.sigmoid(logits)
    found = (1 - p) ** 2 * functional.logsigmoid(logits) * centre
    empty = (1 - heat) ** 4 * p**2 * functional.logsigmoid(-logits) * (1 - centre)
    return -((found + empty) * known).sum() / centre.sum().clamp(min=1)


def _overlaps(sides: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of predicted boxes (N, K, 4, h, w: distances) with true ones (edges), (N, K, h, w)."""
    height, width = sides.shape[-2:]
    across = (torch.arange(width, device=sides.device) + 0.5) * STRIDE
    down = ((torch.arange(height, device=sides.device) + 0.5) * STRIDE)[:, None]
    left, top, right, bottom = sides.unbind(2)
    left, top, right, bottom = across - left, down - top, across + right, down + bottom
    west, north, east, south = edges.unbind(2)
    wide = (torch.minimum(right, east) - torch.maximum(left, west)).clamp(min=0)
    high = (torch.minimum(bottom, south) - torch.maximum(top, north)).clamp(min=0)
    common = wide * high
    union = (right - left) * (bottom - top) + (east - west) * (south - north) - common
    hull = (torch.maximum(right, east) - torch.minimum(left, west)) * (
        torch.maximum(bottom, south) - torch.minimum(top, north)
    )
    overlap = common / union.clamp(min=1e-6)
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)
