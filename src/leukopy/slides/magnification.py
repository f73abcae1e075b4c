"""Size of the cells in the pictures of a slide, and the share of each picture to keep.

Crop and magnification differ between laboratories: a cell takes .38 of the side of a picture in one, .57 in another.
A network confuses a cell that is half as large again with another class. The survey measures some cells of the slide,
each against the typical size of its class: a slide of lymphocytes alone has small cells at any magnification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import read_image
from leukopy.slides.laboratory_check import ENOUGH_CELLS

SAMPLE = 32
"""Largest number of measured cells of a slide: 10 ms each."""
_SIDE = 128
"""Least short side, in pixels, of a measured picture."""
_SAME = 0.08
"""Relative change of size that is ignored: slides of one laboratory differ by as much."""
_SMALLEST, _WHOLE = 0.3, 1.0
"""Least and greatest share of the short side to keep."""


def diameters(paths: Sequence[Path], threads: int) -> NDArray[np.float64]:
    """Diameter of the disc of each cell's area, (N,), in short sides of its picture; not-a-number without a cell.

    Args:
        paths: N image files.
        threads: number of measuring threads.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="leukopy") as pool:
        return np.array(list(pool.map(_of_file, paths)), dtype=np.float64)


def crop_for(found: NDArray[np.float64], classes: Sequence[str], typical: Mapping[str, float], crop: float) -> float:
    """The share of the short side to keep, so that the cells are as large as those of the training.

    Args:
        found: (N,), `diameters` of some of its cells; fewer than ``ENOUGH_CELLS`` keep ``crop``.
        classes: their coarse codes by the network.
        typical: by coarse code, the diameter of the typical cell in sides of the network's input.
        crop: the model's; it is returned where the cells have their typical size.
    """
    expected = np.array([typical.get(code, np.nan) for code in classes])
    larger = found / crop / expected
    larger = larger[np.isfinite(larger)]
    if len(larger) < ENOUGH_CELLS:
        return crop
    times = float(np.median(larger))
    if abs(times - 1) <= _SAME:
        return crop
    return round(float(np.clip(crop * times, _SMALLEST, _WHOLE)), 2)


def typical_sizes(found: NDArray[np.float64], classes: Sequence[str], crop: float) -> dict[str, float]:
    """By coarse code, the diameter of the typical cell in sides of the network's input, for a model's card.

    Args:
        found: (N,), `diameters` of cells of the training.
        classes: their coarse codes.
        crop: of the model.
    """
    codes = np.array(classes)
    measured = np.isfinite(found)
    return {
        code: round(float(np.median(found[measured & (codes == code)])) / crop, 3)
        for code in np.unique(codes[measured]).tolist()
    }


def diameter(picture: NDArray[np.uint8]) -> float:
    """Diameter of the disc of the cell's area, in short sides of the picture (H, W, 3); NaN where no cell is found."""
    from leukopy.imaging.segmentation import find_cell  # noqa: PLC0415 (scikit-image: adds half to the start-up time)

    step = min(picture.shape[:2]) // _SIDE
    cell = find_cell(np.asarray(Image.fromarray(picture).reduce(step)) if step > 1 else picture)
    return float(2 * np.sqrt(cell.sum() / np.pi) / min(cell.shape)) if cell.any() else float("nan")


def _of_file(path: Path) -> float:
    try:
        return diameter(read_image(path, short_side=_SIDE))
    except ImageError:  # classification reports the failure
        return float("nan")
