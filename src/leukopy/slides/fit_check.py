"""What the check of slides must know of the laboratories of the training: their looks, and those of the classes."""

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
"""Of a laboratory; with fewer, its covariance is not known."""
_OF_A_CLASS = 10
"""Images of a class in a laboratory from which they tell how the class looks."""


class SlideCheckSettings(Settings):
    """How the check is made. The command and the figures behind the defaults: ``benchmarks/slide_check.py``."""

    between: float = Field(default=0.4, gt=0)
    """Variance between the slides of a laboratory, in units of that between its cells: .51 measured in Raabin (20
    dates), .44 in BCISC (47 slides), .34 in the cells of 163 lymphocytosis patients."""
    kept: float = Field(default=0.99, gt=0.5, lt=1)
    """Share of a known laboratory's slides whose distance is below 1, were their looks normally distributed."""
    least_deviation: float = Field(default=0.01, gt=0)
    """Of any measure between the cells of a laboratory: a scanner that always gives the same white is not strange for
    a hundredth of optical density."""

    @property
    def method(self) -> str:
        """For the card."""
        return (
            "Mahalanobis distance of the mean look of a slide's cells (colour of background and stain, sharpness; the "
            f"class of each cell accounted for) to the nearest laboratory, in units of what {self.kept:.0%} of a "
            f"laboratory's slides are taken to keep within; between slides lies {self.between:g} of the variance "
            "between cells."
        )


def fit_slide_check(
    appearance: NDArray[np.float32], classes: NDArray[np.str_], laboratories: NDArray[np.str_], how: SlideCheckSettings
) -> SlideCheck:
    """Learn how the laboratories look.

    Args:
        looks: (N, A), as `measure_appearance` gives them.
        classes: (N,), coarse codes.
        laboratories: (N,), the name of each cell's laboratory.
        how: the settings.

    Raises:
        TrainingError: no laboratory has ``ENOUGH_IMAGES``.
    """
    names = [name for name in dict.fromkeys(laboratories.tolist()) if (laboratories == name).sum() >= ENOUGH_IMAGES]
    if not names:
        raise TrainingError(f"no laboratory has {ENOUGH_IMAGES} images, so none is known by its look. Give more.")
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
    """How far each laboratory, taken as one slide, is from the others when the check never saw it."""
    found = {}
    for name in dict.fromkeys(laboratories.tolist()):
        own = laboratories == name
        try:
            check = fit_slide_check(appearance[~own], classes[~own], laboratories[~own], how)
        except TrainingError:
            continue  # it is the only one
        slide = AppearanceSum()
        slide.add(class_free(appearance[own], classes[own].tolist(), check))
        if (distance := nearest_laboratory(slide, check)) is not None:
            found[name] = distance
    return found


def _looks_of_classes(
    appearance: NDArray[np.float32], classes: NDArray[np.str_], laboratories: NDArray[np.str_]
) -> dict[str, tuple[float, ...]]:
    """By coarse code: how its cells differ from the mean class, whatever the laboratory (least squares)."""
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
    """Six digits: what is written is what is used."""
    return tuple(float(f"{value:.6g}") for value in values)
