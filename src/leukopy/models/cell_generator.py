"""Pictures of cells out of noise: the velocity of a flow, given the class and the laboratory.

Flow matching along straight paths (Lipman et al., "Flow matching for generative modeling", ICLR 2023) with times that
are logit-normal (Esser et al., "Scaling rectified flow transformers", ICML 2024), and classifier-free guidance (Ho &
Salimans, arXiv:2207.12598, 2022). A cell is moved into another laboratory through the noise that the flow gives it
(Su et al., "Dual diffusion implicit bridges", ICLR 2023). The network is the U-Net of diffusers (extra ``generate``).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from leukopy.core.errors import MissingExtraError
from leukopy.models import compiled_operators  # noqa: F401  (before diffusers)

BLOCK = 2
"""The network sees a picture as blocks of so many pixels a side: a quarter of the time."""
_DROPPED = 0.1
"""Share of the training pictures whose class is not told, and of those whose laboratory is not told."""
_HEAD = 16
"""Channels of an attention head, and of a group of normalisation."""


class CellGenerator(nn.Module):
    """The velocity of pictures between noise (time 0) and cells (time 1)."""

    def __init__(self, classes: int, laboratories: int, width: int) -> None:
        """Build it, untrained.

        Args:
            classes: K, of the condition.
            laboratories: L, of the condition.
            width: channels of the finest level, a multiple of 16; two and three times as many on the coarser ones.

        Raises:
            MissingExtraError: diffusers is not installed.
        """
        super().__init__()
        try:
            from diffusers.models.unets.unet_2d import UNet2DModel  # noqa: PLC0415  (seconds to import)
        except ImportError as error:
            raise MissingExtraError("leukopy study generate", "generate") from error
        self.classes = classes
        self.condition = nn.Linear(classes + laboratories, 4 * width)
        channels = 3 * BLOCK**2
        self.net = UNet2DModel(
            in_channels=channels,
            out_channels=channels,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            block_out_channels=(width, 2 * width, 3 * width),
            layers_per_block=1,
            class_embed_type="identity",
            norm_num_groups=_HEAD,
            attention_head_dim=_HEAD,
            resnet_time_scale_shift="scale_shift",
        )

    def forward(self, pictures: Tensor, times: Tensor, conditions: Tensor) -> Tensor:
        """Velocity, of the shape of the pictures.

        Args:
            pictures: float (N, 3, S, S), -1 to 1 at time 1; S is a multiple of 8.
            times: float (N,), 0 to 1.
            conditions: float (N, K + L): the classes that a picture may show, then its laboratory; zeros: not told.
        """
        told = torch.cat(
            [functional.normalize(conditions[:, : self.classes], p=1), conditions[:, self.classes :]], dim=1
        )
        blocks = functional.pixel_unshuffle(pictures, BLOCK)
        found: Tensor = self.net(blocks, times * 1000, self.condition(told)).sample
        return functional.pixel_shuffle(found, BLOCK)

    def loss(self, pictures: Tensor, conditions: Tensor) -> Tensor:
        """Mean squared error of the velocity, at random times and with some conditions not told.

        Args:
            pictures: float (N, 3, S, S), -1 to 1.
            conditions: float (N, K + L).
        """
        count = len(pictures)
        times = torch.sigmoid(torch.randn(count))
        noise = torch.randn_like(pictures)
        share = times[:, None, None, None]
        told = conditions.clone()
        told[torch.rand(count) < _DROPPED, : self.classes] = 0
        told[torch.rand(count) < _DROPPED, self.classes :] = 0
        found = self(torch.lerp(noise, pictures, share), times, told)
        return functional.mse_loss(found.float(), pictures - noise)

    @torch.inference_mode()
    def draw(self, conditions: Tensor, size: int, *, steps: int, guidance: float, seed: int) -> Tensor:
        """Pictures out of noise: uint8 (N, S, S, 3).

        Args:
            conditions: float (N, K + L).
            size: S, pixels.
            steps: of Heun's method, each of two evaluations.
            guidance: 1: as learnt; more: more typical of the class, less varied.
            seed: of the noise.
        """
        noise = torch.randn((len(conditions), 3, size, size), generator=torch.Generator().manual_seed(seed))
        return _bytes(_flow(self._guided(conditions, guidance), noise, steps))

    @torch.inference_mode()
    def move(self, pictures: Tensor, before: Tensor, after: Tensor, *, steps: int) -> Tensor:
        """Real cells in the look of another laboratory: uint8 (N, S, S, 3).

        Args:
            pictures: uint8 (N, S, S, 3).
            before: their conditions, float (N, K + L).
            after: the same with the other laboratory.
            steps: of Heun's method, each way.
        """
        noise = _flow(self._guided(before, 1), scaled(pictures), steps, backwards=True)
        return _bytes(_flow(self._guided(after, 1), noise, steps))

    def _guided(self, conditions: Tensor, guidance: float) -> Callable[[Tensor, Tensor], Tensor]:
        """The velocity for these conditions; guided away from the same laboratory without a class."""
        if guidance == 1:
            return lambda pictures, times: self(pictures, times, conditions)
        any_class = conditions.clone()
        any_class[:, : self.classes] = 0

        def velocity(pictures: Tensor, times: Tensor) -> Tensor:
            both = self(pictures.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([any_class, conditions]))
            plain, own = both.chunk(2)
            return torch.lerp(plain, own, guidance)

        return velocity


def scaled(pictures: Tensor) -> Tensor:
    """uint8 (N, S, S, 3) to float (N, 3, S, S), -1 to 1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def _bytes(pictures: Tensor) -> Tensor:
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _flow(
    velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, steps: int, *, backwards: bool = False
) -> Tensor:
    """Follow a velocity from time 0 to 1, or back, by Heun's method."""
    times = torch.linspace(0, 1, steps + 1)
    times = times.flip(0) if backwards else times
    pictures = start
    for now, then in pairwise(times):
        first = velocity(pictures, now.expand(len(start)))
        second = velocity(pictures + (then - now) * first, then.expand(len(start)))
        pictures = pictures + (then - now) * (first + second) / 2
    return pictures
