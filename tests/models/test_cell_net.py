"""The whole network: bytes in, both levels out."""

from __future__ import annotations

import torch

from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet


def test_bytes_are_normalised_as_the_spec_says() -> None:
    """(x - mean) / std per channel is inside: other constants and rescaled bytes give the same answer."""
    torch.manual_seed(0)
    net = CellNet("lenet", Preprocess(size=64, mean=(10, 20, 30), std=(2, 4, 8)), pretrained=False).eval()
    other = CellNet("lenet", Preprocess(size=64, mean=(0, 0, 0), std=(1, 1, 1)), pretrained=False).eval()
    other.load_state_dict(net.state_dict())
    normalised = torch.randint(0, 9, (2, 64, 64, 3))
    raw = normalised * torch.tensor([2, 4, 8]) + torch.tensor([10, 20, 30])
    with torch.inference_mode():
        torch.testing.assert_close(net(raw.to(torch.uint8)).logits, other(normalised.to(torch.uint8)).logits)


def test_logits_are_the_head_on_the_embedding() -> None:
    net = CellNet("lenet", Preprocess(size=64), pretrained=False, dropout=0.5).eval()
    with torch.inference_mode():
        found = net(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
        torch.testing.assert_close(found.logits, found.embedding @ net.head.weight.T + net.head.bias)
