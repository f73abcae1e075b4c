"""Pictures of the station for the documentation, taken by tests: ``LEUKOPY_SCREENSHOTS=docs/images``."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from leukopy.taxonomy import FINE, OUTSIDE


def picture(page: Any, name: str) -> None:
    """Keep what is seen for the documentation, where that is asked for: few colours, and below 250 kB."""
    folder = os.environ.get("LEUKOPY_SCREENSHOTS")
    if not folder:
        return
    with Image.open(BytesIO(page.screenshot(animations="disabled"))) as shot:
        seen = shot.convert("RGB")
    palette = Image.new("P", (1, 1))
    common = seen.quantize(200, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE).getpalette() or []
    classes = [int(cell.colour[at : at + 2], 16) for cell in (*FINE, *OUTSIDE[:1]) for at in (1, 3, 5)]
    palette.putpalette([*common[:600], *classes])
    for scale in (1, 0.9, 0.8, 0.7):
        size = (round(seen.width * scale), round(seen.height * scale))
        small = seen.resize(size, Image.Resampling.LANCZOS) if scale < 1 else seen
        path = Path(folder) / f"review-{name}.png"
        small.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < 250_000:
            break
