"""The one preprocessing spec that training and serving share; it is written into every bundle's card."""

from __future__ import annotations

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.imaging.stains import Macenko, Reinhard


class Preprocess(Settings):
    """How the picture of a cell becomes the network's input.

    The centred square of side ``crop`` × the short side is resized to ``size`` × ``size`` pixels, RGB, 8 bits.
    ``(x - mean) / std`` per channel is inside the exported graph, so that serving hands over bytes.
    """

    size: int = Field(default=128, ge=32, le=1024)
    """Side of the network's input, in pixels."""
    crop: float = Field(default=1.0, gt=0.1, le=1.0)
    """Share of the short side that is kept, centred."""
    white_balance: bool = False
    """Bring the background (the 95th percentile of each channel, over the whole picture) to one white, so that the
    colour of the light and the exposure no longer tell laboratories apart (von Kries scaling)."""
    stain: Reinhard | Macenko | None = None
    """Give the resized picture the look of one laboratory. To measure with: it costs accuracy where it was measured,
    and some milliseconds an image."""
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    """Subtracted from each channel, on the 0-255 scale."""
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    """Divides each channel, on the 0-255 scale."""

    @property
    def short_side(self) -> int:
        """Pixels below which a scaled decode must not bring the short side, so that nothing is enlarged."""
        return round(self.size / self.crop)

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, upper, right, lower edges of the centred square that is kept, in the picture's pixels."""
        side = min(width, height) * self.crop
        left, upper = (width - side) / 2, (height - side) / 2
        return left, upper, left + side, upper + side
