"""The JPEG files that the benchmarks read: original PBC files where LEUKOPY_DATA has them, drawn cells otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE


def jpegs(scratch: Path) -> tuple[list[Path], str]:
    """Files of 360 px or so, and what they are."""
    real = Path(os.environ.get("LEUKOPY_DATA", "absent")) / "cells" / "pbc_original"
    found = sorted(real.rglob("*.jpg"))
    if found:
        return found, f"{len(found)} original PBC Barcelona JPEG files, 360x363 px, repeated"
    for index in range(110):
        image = draw_cell(FINE[index % len(FINE)].code, seed=index, size=360).image
        Image.fromarray(image).save(scratch / f"{index:03}.jpg", quality=90)
    return sorted(scratch.glob("*.jpg")), "110 drawn cells as JPEG, 360x360 px, repeated"
