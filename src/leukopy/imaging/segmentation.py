"""Nucleus and whole cell in a crop that is centred on one cell.

The nucleus absorbs green far more than blue light: azure B does, haemoglobin does not (Otsu's threshold on the
difference of optical densities, IEEE Trans Syst Man Cybern 1979). No colour of the cytoplasm holds in every
laboratory, so colours are learnt from each picture: histograms near the nucleus and away from it are compared, and
re-estimated from their own answer a few times (the histogram models of Boykov & Jolly, ICCV 2001, fitted by
expectation-maximisation in place of a graph cut). A morphological opening then separates touching red cells from
the cell.

The picture is reduced to a short side of 128 pixels, and the masks are enlarged to the size of the picture given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # its parts load on first use
import skimage  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.stains import density_against_glass, glass

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

_SIDE = 128
"""Short side, in pixels, of the picture worked on; lengths below are in these pixels."""
_SMALLEST = 12
"""Pixels. Smaller parts are dust."""
_FAINTEST = 0.06
"""Least excess of the dye over the rest of the picture, in optical density; a picture below it holds no cell."""
_LEAST_DYE = 0.008
"""Optical density of dye, summed over a nucleus, per pixel of the picture: a smaller sum is a platelet (set on PBC
Barcelona's training images, where it includes 91 % of the platelets and 2 % of the erythroblasts)."""
_BINS = 20
"""Bins of each colour axis."""
_ROUNDS = 6
_NEXT = float(np.exp(-0.5 / 0.7**2) / (1 + 2 * np.exp(-0.5 / 0.7**2)))
_CENTRE = 1 - 2 * _NEXT


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of the centred cell."""

    nucleus: Mask
    """(H, W), inside ``cell``; empty for a platelet."""
    cell: Mask
    """(H, W), nucleus and cytoplasm; empty where no cell was found."""


def segment(picture: NDArray[np.uint8]) -> Masks:
    """Find the nucleus and the whole of the cell in the middle of a crop.

    Args:
        picture: uint8 (H, W, 3), RGB.

    Returns:
        Masks of the picture's height and width; both empty where there is no cell.
    """
    dye, cell = _located(picture)
    height, width = picture.shape[:2]
    if not cell.any():
        nothing = np.zeros((height, width), dtype=bool)
        return Masks(nothing, nothing.copy())
    return Masks(_enlarged(_nucleus(dye, cell), height, width), _enlarged(cell, height, width))


def find_cell(picture: NDArray[np.uint8]) -> Mask:
    """The mask of the whole cell alone, as `segment` gives it, in two thirds of the time."""
    _, cell = _located(picture)
    return _enlarged(cell, *picture.shape[:2])


def _located(picture: NDArray[np.uint8]) -> tuple[Plane, Mask]:
    """The nuclear dye of a picture, reduced to the short side ``_SIDE``, and the mask of its cell; it may be empty."""
    height, width = picture.shape[:2]
    scale = _SIDE / min(height, width)
    small = Image.fromarray(picture).resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    density = density_against_glass(np.asarray(small))
    dye = scipy.ndimage.gaussian_filter(density[..., 1] - density[..., 2], 1)
    seed = dyed_middle(dye)
    return dye, _cell(density, seed) if seed.any() else seed


def dyed_middle(dye: Plane) -> Mask:
    """Find everything dyed as nuclei in the middle of a crop: a nucleus with its lobes, or a platelet.

    ``segment`` starts from it; it takes a tenth of the time.

    Args:
        dye: (H, W), optical density of green less blue, a little softened. A constant over the picture, such as the
            colour of the glass, cancels out.

    Returns:
        (H, W); empty where there is no cell.
    """
    seed = _seed(dye)
    if seed.sum() < _SMALLEST * _pixel(dye) ** 2 or np.median(dye[seed]) - np.median(dye) < _FAINTEST:
        return np.zeros_like(seed)
    return seed


def remove_background(picture: NDArray[np.uint8], masks: Masks) -> NDArray[np.uint8]:
    """Paint everything outside the cell in the colour of the picture's own empty glass.

    White would put a hard edge round every cell. In a picture with a colour cast it would reveal the laboratory instead
    of hiding it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        masks: of the same height and width. Without a cell, the picture is returned unchanged.

    Returns:
        uint8 (H, W, 3).
    """
    if not masks.cell.any():
        return picture.copy()
    colour = np.rint(glass(picture)).astype(np.uint8)
    return np.where(masks.cell[..., None], picture, colour)


def box(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of the bounding box of a mask, which must not be empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _pixel(plane: NDArray[np.generic]) -> float:
    """Length of one pixel of a picture with short side ``_SIDE``, in pixels of this plane."""
    return float(min(plane.shape) / _SIDE)


def _seed(dye: Plane) -> Mask:
    """The dyed parts in the middle: a nucleus and its lobes, or a platelet."""
    if np.ptp(dye) < _FAINTEST:
        return np.zeros(dye.shape, dtype=bool)
    rounds = max(1, round(2 * _pixel(dye)))
    labels, count = scipy.ndimage.label(_without_threads(dye > _otsu(dye), rounds))
    if not count:
        return np.zeros(dye.shape, dtype=bool)
    off, bell = _middle(*dye.shape)
    nearness = np.bincount(labels.ravel(), bell.ravel())
    nearness[0] = 0
    main = labels == nearness.argmax()
    if count > 1:
        main |= _lobes(labels, main, off)
    return _opened(main, 0.3)


@lru_cache(maxsize=4)
def _middle(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each pixel from the middle, in half short sides, and its weight there."""
    row, column = np.ogrid[:height, :width]
    off = np.hypot(row - (height - 1) / 2, column - (width - 1) / 2) / (min(height, width) / 2)
    return off, np.exp(-((off / 0.35) ** 2))


def _without_threads(mask: Mask, rounds: int) -> Mask:
    """Binary opening by a cross, applied ``rounds`` times each way; outside the picture there is nothing."""
    grown = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=bool)
    here, sides = grown[1:-1, 1:-1], (grown[:-2, 1:-1], grown[2:, 1:-1], grown[1:-1, :-2], grown[1:-1, 2:])
    here[:] = mask
    for step in (np.logical_and,) * rounds + (np.logical_or,) * rounds:
        changed = here.copy()
        for side in sides:
            step(changed, side, out=changed)
        here[:] = changed
    return here


def _filled(mask: Mask) -> Mask:
    """The mask with its holes: parts of the background that the edge of the picture does not touch."""
    ground, count = scipy.ndimage.label(~mask)
    outside = np.zeros(count + 1, dtype=bool)
    for edge in (ground[0], ground[-1], ground[:, 0], ground[:, -1]):
        outside[edge] = True
    outside[0] = False
    filled: Mask = ~outside[ground]
    return filled


def _lobes(labels: NDArray[np.int32], main: Mask, off: NDArray[np.float64]) -> Mask:
    """The parts close to the main one and not far off the middle."""
    pixel = _pixel(labels)
    near = scipy.ndimage.distance_transform_edt(~main) < max(0.5 * _radius(main), 4 * pixel)
    area = np.bincount(labels.ravel())
    keep = np.bincount(labels[near], minlength=len(area)) > 0
    keep &= area > _SMALLEST * pixel**2
    keep &= np.bincount(labels.ravel(), off.ravel()) < 0.65 * area
    keep[0] = False
    lobes: Mask = keep[labels]
    return lobes


def _cell(density: Plane, seed: Mask) -> Mask:
    """The whole cell round a seed, by the colours of this picture."""
    colour = _colour_bins(density)
    reach = 0.3 * _radius(seed)
    depth = scipy.ndimage.distance_transform_edt(~seed)
    near = np.clip((reach - depth) / (0.6 * reach), -12, 8)  # log-odds by place alone
    frame = _SIDE // 20
    near[:frame], near[-frame:], near[:, :frame], near[:, -frame:] = (-100,) * 4
    near[seed] = 100
    some_colour, some_near = colour[::2, ::2].copy(), near[::2, ::2]  # every second pixel suffices to learn the colours
    colours = _Colours(some_colour)
    odds = some_near
    for _ in range(_ROUNDS):
        odds = _odds(colours.log_ratio(odds, some_colour), some_near, 0.5)
    odds = _odds(colours.log_ratio(odds, colour), near, 1)
    whole = _filled(odds > -0.5)
    labels, _ = scipy.ndimage.label(_opened(whole, 0.2) | seed)
    return _filled(labels == np.bincount(labels[seed]).argmax())


def _nucleus(dye: Plane, cell: Mask) -> Mask:
    """The part of a cell that takes the nuclear dye; nothing for a platelet."""
    # The threshold of the picture includes blue cytoplasm; the threshold of the cell splits chromatin.
    threshold = (_otsu(dye) + _otsu(dye[cell])) / 2
    nucleus = _opened((dye > threshold) & cell, 0.25)
    if dye[nucleus].sum() < _LEAST_DYE * dye.size:
        return np.zeros_like(nucleus)
    holes, _ = scipy.ndimage.label(~nucleus)
    small = np.bincount(holes.ravel()) < 0.05 * nucleus.sum()
    filled: Mask = (nucleus | small[holes]) & cell
    return filled


def _colour_bins(density: Plane) -> NDArray[np.intp]:
    """Each pixel's bin in a histogram of _BINS³ colours, along total density, green-blue and red-rest."""
    red, green, blue = (scipy.ndimage.gaussian_filter(density[..., channel], 0.8) for channel in range(3))
    bins: NDArray[np.intp] = np.zeros(density.shape[:2], np.intp)
    for axis in (red + green + blue, green - blue, red - 0.5 * (green + blue)):
        low, high = np.percentile(axis[::2, ::2], [0.5, 99.5])
        step = (axis - np.float32(low)) * np.float32(_BINS / (high - low + 1e-6))
        bins = bins * _BINS + np.clip(step, 0, _BINS - 1).astype(np.intp)
    return bins


class _Colours:
    """How frequent each colour is inside the cell and outside."""

    def __init__(self, colour: NDArray[np.intp]) -> None:
        """Count the colours of a picture, given by their bins."""
        self._colour = colour.ravel()
        self._all = _blended(np.bincount(self._colour, minlength=_BINS**3))

    def log_ratio(self, odds: Plane, colour: NDArray[np.intp]) -> NDArray[np.float64]:
        """Logarithm of the frequency of colours (H, W) inside over outside.

        Args:
            odds: log-odds of inside, of the pixels that were counted.
            colour: bins to look up.
        """
        inside = 1 / (1 + np.exp(-np.clip(odds, -30, 30))).ravel()
        blended = _blended(np.bincount(self._colour, inside, _BINS**3))
        total = float(inside.sum())
        outside = (self._all - blended) / (len(self._colour) - total)
        share = (blended / total + 1e-5) / (outside + 1e-5)
        ratio: NDArray[np.float64] = np.log(share[colour])
        return ratio


def _blended(counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """Counts of colours, each shared with its neighbours (a bell of .7 bins, cut off at the next bin)."""
    cube = counts.astype(np.float64).reshape(_BINS, _BINS, _BINS)
    for _ in range(3):  # along each axis in turn
        near = np.empty_like(cube)
        near[1:-1] = cube[:-2] + cube[2:]
        near[0], near[-1] = cube[0] + cube[1], cube[-1] + cube[-2]
        cube = (_CENTRE * cube + _NEXT * near).transpose(1, 2, 0)
    return cube.ravel()


def _odds(evidence: NDArray[np.float64], near: Plane, blur: float) -> Plane:
    """Log-odds of being inside the cell, from colour (smoothed over the neighbours) and place."""
    odds: Plane = (3 * scipy.ndimage.gaussian_filter(evidence, blur) + 0.6 * near).astype(np.float32)
    return odds


def _opened(mask: Mask, share: float) -> Mask:
    """Morphological opening with a disc of ``share`` of the mask's greatest depth: threads and spurs go."""
    opened = np.zeros_like(mask)
    if mask.any():
        window = box(mask)
        depth = scipy.ndimage.distance_transform_edt(np.pad(mask[window], 1))
        core = depth > share * depth.max()
        near_core = scipy.ndimage.distance_transform_edt(~core) <= share * depth.max()
        opened[window] = mask[window] & near_core[1:-1, 1:-1]
    return opened


def _otsu(values: Plane) -> float:
    return float(skimage.filters.threshold_otsu(values))  # type: ignore[no-untyped-call]


def _radius(mask: Mask) -> float:
    """Radius of the disc of the same area."""
    return float(np.sqrt(mask.sum() / np.pi))


def _enlarged(mask: Mask, height: int, width: int) -> Mask:
    """A mask at the size of the picture, its steps rounded off."""
    grey = np.rint(scipy.ndimage.gaussian_filter(mask.astype(np.float32), 0.6) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)) > 127
