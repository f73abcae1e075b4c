"""Fit of the slide check: appearance of the training laboratories, and of the classes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import chi2

from leukopy.bundle import LaboratoryAppearance, SlideCheck
from leukopy.core.errors import TrainingError
from leukopy.core.settings import Settings
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.slides.laboratory_check import AppearanceSum, SlideDistance, class_free, nearest_laboratory

ENOUGH_IMAGES = 50
"""Least number of images of a laboratory; with fewer, its covariance is unknown."""
_OF_A_CLASS = 10
"""Least number of images of a class in a laboratory for the appearance of the class."""


class SlideCheckSettings(Settings):
    """Settings of the slide check. The command and the figures behind the defaults: ``benchmarks/slide_check.py``."""

    between: float = Field(default=0.4, gt=0)
    """Variance between the slides of a laboratory, in units of the variance between its cells: .51 measured in Raabin
    (20 dates), .44 in BCISC (47 slides), .34 in the cells of 163 lymphocytosis patients."""
    kept: float = Field(default=0.99, gt=0.5, lt=1)
    """Share of a known laboratory's slides whose distance is below 1, for normally distributed appearance."""
    least_deviation: float = Field(default=0.01, gt=0)
    """Least deviation of any measure between the cells of a laboratory, in optical density: without it, a hundredth
    would make a slide foreign to a scanner of constant white."""

    @property
    def method(self) -> str:
        """Description for the card."""
        return (
            "Mahalanobis distance of the mean appearance of a slide's cells (colour of background and stain, "
            "sharpness; the class of each cell accounted for) to the nearest laboratory, in units of the limit that "
            f"{self.kept:.0%} of a laboratory's slides stay within; between slides lies {self.between:g} of the "
            "variance between cells."
        )


def fit_slide_check(
    appearance: NDArray[np.float32], classes: NDArray[np.str_], laboratories: NDArray[np.str_], how: SlideCheckSettings
) -> SlideCheck:
    """Fit the appearance of the laboratories.

    Args:
        appearance: (N, A), from `measure_appearance`.
        classes: (N,), coarse codes.
        laboratories: (N,), the name of each cell's laboratory.
        how: the settings.

    Raises:
        TrainingError: no laboratory has ``ENOUGH_IMAGES``.
    """
    names = [name for name in dict.fromkeys(laboratories.tolist()) if (laboratories == name).sum() >= ENOUGH_IMAGES]
    if not names:
        raise TrainingError(f"no laboratory has {ENOUGH_IMAGES} images, so no appearance can be fitted. Give more.")
    check = SlideCheck(
        measures=APPEARANCE_FEATURES,
        laboratories=(),
        classes=_looks_of_classes(appearance, classes, laboratories),
        between=how.between,
        limit=float(chi2.ppf(how.kept, len(APPEARANCE_FEATURES))),
        method=how.method,
        recipe=how.model_dump(mode="json"),
    )
    free = class_free(appearance, classes.tolist(), check).to_numpy()
    own = tuple(_laboratory(name, free[laboratories == name], how.least_deviation) for name in names)
    return check.model_copy(update={"laboratories": own})


def distances_left_out(
    appearance: NDArray[np.float32], classes: NDArray[np.str_], laboratories: NDArray[np.str_], how: SlideCheckSettings
) -> dict[str, SlideDistance]:
    """Distance of each laboratory, as one slide, to the others when the check excludes it."""
    found = {}
    for name in dict.fromkeys(laboratories.tolist()):
        own = laboratories == name
        try:
            check = fit_slide_check(appearance[~own], classes[~own], laboratories[~own], how)
        except TrainingError:
            continue  # the only laboratory
        slide = AppearanceSum()
        slide.add(class_free(appearance[own], classes[own].tolist(), check))
        if (distance := nearest_laboratory(slide, check)) is not None:
            found[name] = distance
    return found


def _looks_of_classes(
    appearance: NDArray[np.float32], classes: NDArray[np.str_], laboratories: NDArray[np.str_]
) -> dict[str, tuple[float, ...]]:
    """By coarse code: difference of its cells from the mean class, within laboratories (least squares)."""
    names, codes = np.unique(laboratories), np.unique(classes)
    rows, means = [], []
    for place, name in enumerate(names):
        for index, code in enumerate(codes):
            own = (laboratories == name) & (classes == code)
            if own.sum() >= _OF_A_CLASS:
                rows.append([*np.eye(len(names))[place], *np.eye(len(codes))[index]])
                means.append(appearance[own].mean(axis=0, dtype=np.float64))
    if not rows:
        return {}
    known = np.array(rows)[:, len(names) :].any(axis=0)
    found = np.linalg.lstsq(np.array(rows), np.array(means), rcond=None)[0][len(names) :][known]
    return {
        str(code): _short(appearance) for code, appearance in zip(codes[known], found - found.mean(axis=0), strict=True)
    }


def _laboratory(name: str, free: NDArray[np.float32], least_deviation: float) -> LaboratoryAppearance:
    covariance = np.cov(free.T.astype(np.float64)) + least_deviation**2 * np.eye(len(APPEARANCE_FEATURES))
    return LaboratoryAppearance(
        name=name,
        images=len(free),
        mean=_short(free.mean(axis=0, dtype=np.float64)),
        covariance=tuple(_short(row) for row in covariance),
    )


def _short(values: Iterable[float]) -> tuple[float, ...]:
    """Six digits: the used values equal the written ones."""
    return tuple(float(f"{value:.6g}") for value in values)
