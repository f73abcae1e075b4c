"""Size and shape of a segmented cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, pi

import numpy as np
import scipy  # its parts load on first use
import skimage  # its parts load on first use
from numpy.typing import NDArray

from leukopy.core.errors import InputError
from leukopy.imaging.segmentation import Masks, box


@dataclass(frozen=True)
class Morphology:
    """Measures of one cell; not-a-number where there is no nucleus (or no cell) to measure."""

    nucleus_area: float
    """Pixels of the picture given; 0 without a nucleus."""
    cell_area: float
    """Pixels of the picture given, nucleus included; 0 without a cell."""
    nucleus_to_cytoplasm: float
    """Area of the nucleus over area of the cytoplasm; nan without cytoplasm."""
    nucleus_to_cell: float
    """Area of the nucleus over area of the whole cell, 0 to 1."""
    cell_roundness: float
    """4 pi area / perimeter², 1 for a disc."""
    nucleus_roundness: float
    """4 pi area / perimeter² of its lobes taken together, 1 for a disc."""
    nucleus_lobes: int
    """Thick parts of the nucleus once thin bridges are cut; 0 without a nucleus."""
    nucleus_solidity: float
    """Area over area of the convex hull, 1 for a convex nucleus."""


def morphology(picture: NDArray[np.uint8], masks: Masks) -> Morphology:
    """Measure a cell.

    Args:
        picture: uint8 (H, W, 3), RGB, of the masks' height and width.
        masks: nucleus and cell.

    Raises:
        InputError: the masks and the picture differ in size.
    """
    if picture.shape[:2] != masks.cell.shape:
        raise InputError(f"masks of {masks.cell.shape} pixels for a picture of {picture.shape[:2]}. Segment it again.")
    nucleus, cell = float(masks.nucleus.sum()), float(masks.cell.sum())
    return Morphology(
        nucleus_area=nucleus,
        cell_area=cell,
        nucleus_to_cytoplasm=nucleus / (cell - nucleus) if nucleus and cell > nucleus else nan,
        nucleus_to_cell=nucleus / cell if nucleus else nan,
        cell_roundness=_roundness(masks.cell),
        nucleus_roundness=_roundness(masks.nucleus),
        nucleus_lobes=lobes(masks.nucleus),
        nucleus_solidity=_solidity(masks.nucleus),
    )


def _roundness(mask: NDArray[np.bool_]) -> float:
    """Isoperimetric quotient, clipped to 1.

    The outline is smoothed over a twentieth of the radius. Pixel steps would lengthen it, by a share that varies
    with angle and size.
    """
    if not mask.any():
        return nan
    blur = max(0.5, 0.05 * float(np.sqrt(mask.sum() / pi)))
    grey = scipy.ndimage.gaussian_filter(np.pad(mask[box(mask)].astype(np.float32), 4 + int(3 * blur)), blur)
    outlines = skimage.measure.find_contours(grey, 0.5)  # type: ignore[no-untyped-call]
    perimeter = sum(float(np.linalg.norm(np.diff(outline, axis=0), axis=1).sum()) for outline in outlines)
    disc = 4 * pi * float(mask.sum())
    return disc / max(perimeter**2, disc)


def _solidity(mask: NDArray[np.bool_]) -> float:
    if not mask.any():
        return nan
    hull = skimage.morphology.convex_hull_image(mask[box(mask)])  # type: ignore[no-untyped-call]
    return float(mask.sum() / hull.sum())


def lobes(nucleus: NDArray[np.bool_]) -> int:
    """Number of lobes of a nucleus, bool (H, W): the largest number of parts that any erosion leaves.

    A part is a lobe if it is half as thick again as what the erosion takes away (so that a bridge has at most two
    thirds of the thickness of the lobes it joins) and at least a quarter as thick as the thickest lobe.
    """
    if not nucleus.any():
        return 0
    depth = scipy.ndimage.distance_transform_edt(np.pad(nucleus[box(nucleus)], 1))
    most = 1
    for taken in np.linspace(0, 0.6, 7) * depth.max():
        parts, count = scipy.ndimage.label(depth > taken)
        if count <= most:  # no more lobes than parts
            continue
        thickness = scipy.ndimage.maximum(depth, parts, np.arange(1, count + 1))
        most = max(most, int(np.sum((thickness >= 1.5 * taken) & (thickness >= 0.25 * depth.max()))))
    return most
