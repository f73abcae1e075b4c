"""Pictures of single red cells in memory, and their random changes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from leukopy.bundle.detector import open_detector
from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.datasets.red_cell_points import UM_PER_PX, pointed_fields
from leukopy.fields.detector import Detector
from leukopy.fields.field import FieldInput
from leukopy.fields.read import read_field
from leukopy.fields.red_cell_crops import SIDE, cut_red_cells, recentre
from leukopy.taxonomy.objects import RED_CELL, RED_CELL_UM
from leukopy.training.red_cell_shapes.settings import RedCellAugmentation

MARGIN = 5
"""Pixels around a picture in memory, so that a shifted or turned one shows the field."""
LEAST_SCORE = 0.3
"""Of the boxes around the points: people found these cells."""
_GLASS = 240.0


class Cells(NamedTuple):
    """Red cells of one split."""

    images: NDArray[np.uint8]
    """(N, S, S, 3), with the margin."""
    shapes: NDArray[np.int64]
    """(N,): index in ``SHAPES``."""
    fields: NDArray[np.int64]
    """(N,): number of the field."""

    @property
    def plain(self) -> NDArray[np.uint8]:
        """The pictures without their margin, as they are served."""
        return self.images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def load(data: Path, split: str, progress: Progress = silent) -> Cells:
    """Cut out the cells of RBC-12 in a split, at the boxes that the detector finds around their points.

    Raises:
        InputError: a field or the table cannot be read.
        TrainingError: the split has no cells.
    """
    found = pointed_fields(data, split)
    if not found:
        raise TrainingError(f"fields/chula_rbc12: no field in its split {split}. Check LEUKOPY_DATA.")
    images, fields = [], []
    detector, red_cell_px = Detector(open_detector(), least=LEAST_SCORE), RED_CELL_UM / UM_PER_PX
    for number, field in enumerate(found):
        pixels = read_field(FieldInput(field.file, str(data / field.file))).pixels
        boxes = detector.find_on(pixels, red_cell_px).of(RED_CELL).boxes
        centres = recentre(field.centres, boxes, red_cell_px)
        images.append(cut_red_cells(pixels, centres, red_cell_px, SIDE + 2 * MARGIN))
        fields.append(np.full(len(field.shapes), number))
        progress(f"read {split}", number + 1, len(found))
    return Cells(np.concatenate(images), np.concatenate([each.shapes for each in found]), np.concatenate(fields))


def change(images: Tensor, how: RedCellAugmentation, random: torch.Generator) -> Tensor:
    """Planes (N, 3, SIDE, SIDE) of levels, from pictures with their margin, uint8 (N, S, S, 3), changed at random."""
    count, whole = len(images), images.shape[1]
    planes = images.permute(0, 3, 1, 2).float()

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=random) - 1

    angle, flip = torch.pi * uniform(count), torch.sign(uniform(count))
    size = torch.exp(-how.scale * uniform(count)) * SIDE / whole
    shift = how.shift * uniform(count, 2) * 2 / whole
    rows = torch.stack([torch.cos(angle) * flip, -torch.sin(angle), torch.sin(angle) * flip, torch.cos(angle)], dim=1)
    turn = torch.cat([(rows * size[:, None]).view(count, 2, 2), shift[:, :, None]], dim=2)
    grid = functional.affine_grid(turn, [count, 3, SIDE, SIDE], align_corners=False)
    planes = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    density = -torch.log((planes + 1) / (_GLASS + 1))
    gain = torch.exp(how.gain * torch.randn(count, 3, 1, 1, generator=random))
    level = _GLASS + how.level * torch.randn(count, 3, 1, 1, generator=random)
    planes = (level + 1) * torch.exp(-density * gain) - 1
    if float(torch.rand(1, generator=random)) < how.blur:
        planes = functional.avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
    noise = how.noise * torch.rand(count, 1, 1, 1, generator=random)
    return (planes + noise * torch.randn(planes.shape, generator=random)).clamp(0, 255)
