"""Depthwise convolutions in mixed precision, on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class DepthwiseGradients(TorchFunctionMode):
    """Within it, gradients of depthwise convolutions in bfloat16 are computed in single precision.

    oneDNN computes them in bfloat16 by a general path, up to nine times as long. Nothing else changes: neither the
    other convolutions, nor trainings in single precision or on a GPU.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replace a depthwise convolution with one whose gradients are in single precision."""
        if func is functional.conv2d and not kwargs and len(args) == 7 and _is_slow(*args):
            images, weights, _, *options, _ = args
            return _Depthwise.apply(images, weights, *options)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


def _is_slow(
    images: Tensor, weights: Tensor, bias: Tensor | None, stride: Any, padding: Any, _dilation: Any, groups: int
) -> bool:
    depthwise = groups == weights.shape[0] == images.shape[1] > 1 and (weights.shape[-1] > 3 or max(stride) > 1)
    mixed = images.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return depthwise and mixed and bias is None and not isinstance(padding, str)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weights: Tensor, stride: Any, padding: Any, dilation: Any) -> Tensor:
        half = images.bfloat16(), weights.bfloat16()
        ctx.save_for_backward(*half)
        ctx.options = stride, padding, dilation
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(*half, None, stride, padding, dilation, len(weights))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weights = (saved.float() for saved in ctx.saved_tensors)
        needed = [*ctx.needs_input_grad[:2], False]
        whole, transposed, offset = len(weights), False, [0, 0]
        of_images, of_weights, _ = torch.ops.aten.convolution_backward(
            gradient.float(), images, weights, None, *ctx.options, transposed, offset, whole, needed
        )
        return of_images, of_weights, None, None, None
