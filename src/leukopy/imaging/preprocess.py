"""The one preprocessing spec shared by training and serving; every bundle's card states it."""

from __future__ import annotations

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.imaging.stains import Macenko, Reinhard


class Preprocess(Settings):
    """Preprocessing of a cell's picture to the network's input.

    The centred square of side ``crop`` × the short side is resized to ``size`` × ``size`` pixels, RGB, 8 bits.
    ``(x - mean) / std`` per channel is inside the exported graph; serving passes bytes.
    """

    size: int = Field(default=128, ge=32, le=1024)
    """Side of the network's input, in pixels."""
    crop: float = Field(default=1.0, gt=0.1, le=1.0)
    """Share of the short side to keep, centred."""
    white_balance: bool = False
    """Bring the background (the 95th percentile of each channel, over the whole picture) to one white (von Kries
    scaling): differences in exposure and in the colour of the light between laboratories disappear."""
    stain: Reinhard | Macenko | None = None
    """Normalise the resized picture to the stain of one laboratory. For comparison: it cost accuracy wherever it was
    measured, and takes some milliseconds an image."""
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    """Subtracted from each channel, on the 0-255 scale."""
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    """Divides each channel, on the 0-255 scale."""

    @property
    def short_side(self) -> int:
        """Least short side, in pixels, of a scaled decode; below it, pixels would be enlarged."""
        return round(self.size / self.crop)

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, upper, right, lower edges of the centred square to keep, in the picture's pixels."""
        side = min(width, height) * self.crop
        left, upper = (width - side) / 2, (height - side) / 2
        return left, upper, left + side, upper + side
