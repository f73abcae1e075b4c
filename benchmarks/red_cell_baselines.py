"""Classical baselines for red cells: measures of their shape, and overlaps by concave points and ellipses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import EllipseModel, find_contours, label, regionprops

from leukopy.fields.crops import background

_PROFILE, _WAVES, _RAYS = 8, 8, 64
_SCALED = 32.0
"""Pixels of a red cell's diameter at which overlaps are separated."""


def measures(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Size, outline, pallor and colour of the red cell in the middle of a picture (S, S, 3)."""
    density = -np.log((picture.astype(np.float64) + 1) / 241)
    green = ndimage.gaussian_filter(density[..., 1], 0.7)
    mask = ndimage.binary_fill_holes(green > threshold_otsu(green))
    parts = label(mask)
    middle = np.array(picture.shape[:2]) / 2 - 0.5
    regions = [each for each in regionprops(parts) if each.area > 20]
    if not regions:
        return np.full(13 + _PROFILE + 2 * _WAVES, np.nan)
    own = min(regions, key=lambda each: np.hypot(*(np.array(each.centroid) - middle)) - 0.2 * np.sqrt(each.area))
    inside = parts == own.label
    depth = ndimage.distance_transform_edt(inside)
    share = depth[inside] / depth.max()
    values = green[inside]
    bins = np.minimum((share * _PROFILE).astype(int), _PROFILE - 1)
    sums = np.bincount(bins, values, _PROFILE) / np.maximum(np.bincount(bins, minlength=_PROFILE), 1)
    rays = _radii(inside, np.array(own.centroid))
    waves = np.abs(np.fft.rfft(rays / rays.mean()))[1 : _WAVES + 1] / _RAYS
    sorted_rays = np.sort(rays / rays.mean())[:: _RAYS // _WAVES][:_WAVES]
    shape = [
        own.area, own.eccentricity, own.solidity, own.extent, own.axis_major_length, own.axis_minor_length,
        own.perimeter**2 / own.area, depth.max(), values.mean(), values.std(), *density[inside].mean(axis=0),
    ]  # fmt: skip
    return np.array([*shape, *(sums / values.mean()), *waves, *sorted_rays])


def _radii(inside: NDArray[np.bool_], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
    steps = np.arange(0, 34, 0.5)
    rows = centre[0] + np.outer(np.sin(angles), steps)
    columns = centre[1] + np.outer(np.cos(angles), steps)
    seen = ndimage.map_coordinates(inside.astype(np.float32), [rows, columns], order=1)
    return np.maximum((seen > 0.5).sum(axis=1) * 0.5, 0.5)


def ellipses(pixels: NDArray[np.uint8], red_cell_px: float) -> NDArray[np.float32]:
    """Boxes (n, 4) of red cells: groups are separated at the concave points of their outline.

    The outline between two concave points belongs to one cell, to which an ellipse is fitted directly; pieces that one
    ellipse explains are joined (after Naruenatthanaset et al., arXiv:2012.01321).
    """
    scale = _SCALED / red_cell_px
    size = (max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), np.float64)[..., 1]
    density = -np.log((ndimage.gaussian_filter(small, 1) + 1) / (background(pixels)[1] + 1))
    mask = ndimage.binary_fill_holes(density > threshold_otsu(density))
    mask = ndimage.binary_opening(mask, iterations=2)
    boxes = []
    for region in regionprops(label(mask)):
        if region.area < 0.15 * _SCALED**2:
            continue
        top, left, bottom, right = region.bbox
        arcs = _arcs(np.pad(region.image, 2).astype(np.float64)) if region.solidity < 0.94 else []
        found = [box for arc in arcs if (box := _box(arc)) is not None] if len(arcs) > 1 else []
        if len(found) > 1:
            boxes += [(x + left - 2, y + top - 2, width, height) for x, y, width, height in found]
        else:
            boxes.append((left, top, right - left, bottom - top))
    return np.array(boxes, np.float32).reshape(-1, 4) / scale


def _arcs(image: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The outline (x, y) in pieces between concave points, joined where one ellipse explains two."""
    outline = max(find_contours(image, 0.5), key=len)[:-1, ::-1]
    outline = ndimage.gaussian_filter1d(outline, 2, axis=0, mode="wrap")
    reach = max(3, round(_SCALED / 4))
    before, after = outline - np.roll(outline, reach, axis=0), np.roll(outline, -reach, axis=0) - outline
    turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(axis=1))
    along = np.roll(outline, -1, axis=0)
    turn *= np.sign((outline[:, 0] * along[:, 1] - outline[:, 1] * along[:, 0]).sum())
    peaks = (-turn == ndimage.maximum_filter1d(-turn, 2 * reach + 1, mode="wrap")) & (turn < -0.35)
    cuts = np.flatnonzero(peaks)
    if len(cuts) < 2:
        return [outline]
    ends = [*cuts[1:], cuts[0] + len(outline)]
    arcs = [np.take(outline, range(a, b), axis=0, mode="wrap") for a, b in zip(cuts, ends, strict=True)]
    arcs = sorted((arc for arc in arcs if len(arc) > 0.4 * _SCALED), key=len, reverse=True)
    joined: list[NDArray[np.float64]] = []
    for arc in arcs:
        for place, other in enumerate(joined):
            if _misfit(np.concatenate([other, arc])) < 0.04 * _SCALED:
                joined[place] = np.concatenate([other, arc])
                break
        else:
            joined.append(arc)
    return joined


def _misfit(points: NDArray[np.float64]) -> float:
    model = EllipseModel.from_estimate(points)
    if not model or max(_axes(model)) > 1.1 * _SCALED:
        return float("inf")
    return float(np.sqrt((model.residuals(points) ** 2).mean()))


def _axes(model: EllipseModel) -> tuple[float, float]:
    first, second = model.axis_lengths
    return float(first), float(second)


def _box(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Box of the ellipse through points; None where they lie on none of a cell's size."""
    model = EllipseModel.from_estimate(points)
    if not model or not 0.2 * _SCALED < min(_axes(model)) <= max(_axes(model)) < 1.1 * _SCALED:
        return None
    (x, y), (first, second), angle = model.center, model.axis_lengths, model.theta
    wide = float(np.hypot(first * np.cos(angle), second * np.sin(angle)))
    high = float(np.hypot(first * np.sin(angle), second * np.cos(angle)))
    return float(x) - wide, float(y) - high, 2 * wide, 2 * high
