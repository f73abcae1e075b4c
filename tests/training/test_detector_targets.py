"""Targets and losses of the detector."""

import torch

from leukopy.models.detector import Maps
from leukopy.taxonomy.objects import OBJECTS
from leukopy.training.detector.targets import STRIDE, Targets, losses

KIND = OBJECTS.index("red_cell")


def _perfect(targets: Targets) -> Maps:
    planes = torch.from_numpy(targets.planes())[None]
    middles = torch.from_numpy(targets.middles)
    left, top, right, bottom = planes[:, :, 3:].unbind(2)
    sides = torch.stack([middles - left, middles[:, None] - top, right - middles, bottom - middles[:, None]], 2)
    heat = torch.where(planes[:, :, 0] == 1, 20.0, -20.0)
    return Maps(heat, sides.clamp(min=0.1), torch.full_like(heat, 20.0))


def test_true_maps_cost_nothing_and_a_shift_costs() -> None:
    targets = Targets(64)
    targets.absent(KIND, (0, 0, 64, 64))
    targets.present(KIND, (10, 20, 38, 48))
    planes = torch.from_numpy(targets.planes())[None]
    true = _perfect(targets)
    assert losses(true, planes).total < 1e-3
    assert losses(true._replace(sides=true.sides + 6), planes).box > 0.1
    assert losses(true._replace(heat=-true.heat), planes).heat > 1


def test_unlabelled_area_costs_nothing() -> None:
    targets = Targets(64)
    targets.absent(KIND, (0, 0, 32, 64))
    planes = torch.from_numpy(targets.planes())[None]
    heat = torch.full((1, len(OBJECTS), 16, 16), -20.0)
    heat[0, KIND, :, 32 // STRIDE :] = 20.0
    maps = Maps(heat, torch.ones((1, len(OBJECTS), 4, 16, 16)), torch.zeros_like(heat))
    assert losses(maps, planes).heat < 1e-3
    heat[0, KIND, 0, 0] = 20.0
    assert losses(maps, planes).heat > 1
