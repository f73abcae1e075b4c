"""Cost of one image in a network, counted without computing it."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet


def flops(backbone: str, preprocess: Preprocess) -> int:
    """Floating-point operations of one image: of convolutions, matrix products and attention.

    A multiplication and its addition count as two; papers often count such pairs as one.
    """
    with torch.device("meta"):
        net = CellNet(backbone, preprocess, pretrained=False).eval()
        images = torch.zeros(1, preprocess.size, preprocess.size, 3, dtype=torch.uint8)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        net(images)
    return int(counter.get_total_flops())
