"""Gradients of depthwise convolutions in mixed precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from leukopy.training import depthwise
from leukopy.training.depthwise import DepthwiseGradients


def _gradients(conv: nn.Conv2d, images: torch.Tensor, *, mixed: bool) -> tuple[torch.Tensor, ...]:
    conv.zero_grad()
    leaf = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed), DepthwiseGradients():
        found = conv(leaf)
    found.float().square().sum().backward()
    return found, leaf.grad, conv.weight.grad


@pytest.mark.parametrize(
    ("kernel", "options"),
    [(5, {"padding": 2}), (3, {"stride": 2, "padding": 1}), (3, {"padding": 1}), (5, {"stride": 2, "dilation": 2})],
)
@pytest.mark.parametrize("groups", [16, 1])
def test_they_are_those_of_single_precision(kernel, options, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, kernel, groups=groups, bias=False, **options)
    images = torch.randn(4, 16, 24, 24)
    for mixed, plain in zip(_gradients(conv, images, mixed=True), _gradients(conv, images, mixed=False), strict=True):
        assert (mixed.float() - plain).norm() < 0.02 * plain.norm()  # bfloat16 keeps two to three digits


def test_slow_depthwise_convolutions_alone_are_replaced(monkeypatch):
    replaced = []
    monkeypatch.setattr(
        depthwise._Depthwise, "apply", lambda images, weights, *_: replaced.append(tuple(weights.shape)) or images
    )
    slow = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
    others = [
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, groups=8),
        nn.Conv2d(8, 8, 5, padding="same", groups=8, bias=False),
    ]
    images = torch.randn(1, 8, 12, 12)
    with DepthwiseGradients():
        slow(images)  # in single precision
        with torch.autocast("cpu", torch.bfloat16):
            for conv in (*others, slow):
                conv(images)
    assert replaced == [(8, 1, 5, 5)]
