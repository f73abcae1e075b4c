"""Drawn patients whose truth is known: a bag of lymphocytes, an age and a lymphocyte count.

A drawing to try the software with: nothing here claims to be like real patients. It exaggerates what the textbooks
say (Bain, Blood Cells). In a reactive lymphocytosis cells differ from one another, and many are large with abundant
cytoplasm; patients are younger and counts lower. In chronic lymphocytic leukaemia, the most frequent tumoral cause,
cells are small and alike, with scant cytoplasm and dense clumped chromatin, and some are smudged; patients are older
and counts higher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from leukopy.core.errors import SettingsError
from leukopy.synthesis import nuclei
from leukopy.synthesis.appearance import Appearance
from leukopy.synthesis.cell import DrawnCell, draw_cell
from leukopy.synthesis.morphology import MORPHOLOGY, Chromatin, Irregularity, Morphology

_LYMPHOCYTE = MORPHOLOGY["LY"]

LYMPHOCYTES: dict[str, Morphology] = {
    "typical": _LYMPHOCYTE,
    "large": replace(
        _LYMPHOCYTE,
        diameter_um=(12.0, 16.0),
        nucleus=nuclei.oval_large_lymphocyte,
        chromatin=Chromatin(0.80, 0.16, 0.20),
        cytoplasm={"basophilia": (0.30, 0.95)},
        waviness=0.18,
        outline=Irregularity(0.30, 1.6),
    ),
    "small": replace(
        _LYMPHOCYTE,
        diameter_um=(8.0, 9.2),
        nucleus=nuclei.round_small_lymphocyte,
        chromatin=Chromatin(1.08, 0.26, 0.28),
        cytoplasm={"basophilia": (0.25, 0.40)},
        waviness=0.03,
    ),
    "smudge": replace(
        _LYMPHOCYTE,
        diameter_um=(12.0, 15.0),
        nucleus=nuclei.round_small_lymphocyte,
        chromatin=Chromatin(0.50, 0.14, 0.45),
        cytoplasm={"basophilia": (0.0, 0.06)},
        waviness=0.20,
        outline=Irregularity(0.60, 1.4),
        nuclear_outline=Irregularity(0.90, 1.4),
        rim=0.0,
    ),
}
"""Kind of a lymphocyte -> what it looks like."""


class _Cause(NamedTuple):
    """How the patients of one label are drawn."""

    kinds: dict[str, float]
    """Kind -> its mean share among the cells."""
    age: tuple[float, float]
    """Mean and standard deviation, years."""
    excess: tuple[float, float]
    """Lymphocytes above 4 x 10^9/L: their median, and the standard deviation of their natural logarithm."""


_CAUSES = (
    _Cause({"typical": 0.50, "large": 0.42, "small": 0.08}, (50, 16), (2.0, 0.6)),
    _Cause({"typical": 0.24, "large": 0.04, "small": 0.62, "smudge": 0.10}, (71, 11), (12.0, 1.0)),
)
"""In the order of the labels: reactive, tumoral."""

_LIKENESS = 12.0
"""How alike the mixtures of two patients of one label are (concentration of the Dirichlet distribution)."""

_AGES = (18.0, 99.0)
_LYMPHOCYTOSIS = 4.0  # 10^9/L
_HIGHEST = 400.0


@dataclass(frozen=True, eq=False)
class DrawnPatient:
    """A patient and the truth."""

    patient_id: str
    label: int
    """0 reactive, 1 tumoral."""
    age: float
    """Years."""
    lymphocytes: float
    """10^9/L."""
    gender: str
    """F or M."""
    cells: tuple[DrawnCell, ...]
    kinds: tuple[str, ...]
    """What each cell was drawn as: a key of ``LYMPHOCYTES``."""


def draw_patient(
    patient_id: str,
    label: int,
    *,
    seed: int,
    cells: int = 30,
    size: int = 224,
    appearance: Appearance | None = None,
) -> DrawnPatient:
    """Draw one patient.

    Args:
        patient_id: its name.
        label: 0 reactive, 1 tumoral.
        seed: the same seed, label, number, size and appearance give the same patient.
        cells: how many, at least 1.
        size: pixels of the square crops.
        appearance: the laboratory; PBC Barcelona's look by default.

    Raises:
        SettingsError: the label is neither 0 nor 1, or no cell is asked for.
    """
    if label not in (0, 1) or cells < 1:
        raise SettingsError(f"a patient with label {label} and {cells} cells cannot be drawn: 0 or 1, and at least 1.")
    cause = _CAUSES[label]
    rng = np.random.default_rng([seed, label])
    shares = rng.dirichlet(_LIKENESS * np.array(list(cause.kinds.values())))
    kinds = rng.choice(list(cause.kinds), size=cells, p=shares)
    age = np.clip(rng.normal(*cause.age), *_AGES)
    median, spread = cause.excess
    count = min(_LYMPHOCYTOSIS + median * np.exp(rng.normal(0, spread)), _HIGHEST)
    gender = str(rng.choice(["F", "M"]))
    seeds = rng.integers(2**32, size=cells)
    drawn = (
        draw_cell("LY", seed=int(each), appearance=appearance, size=size, morphology=LYMPHOCYTES[kind])
        for kind, each in zip(kinds, seeds, strict=True)
    )
    return DrawnPatient(
        patient_id, label, round(float(age), 1), round(float(count), 2), gender, tuple(drawn), tuple(map(str, kinds))
    )


def draw_cohort(
    patients: int,
    *,
    seed: int,
    tumoral: float = 0.6,
    cells: tuple[int, int] = (20, 40),
    size: int = 224,
    appearance: Appearance | None = None,
) -> Iterator[DrawnPatient]:
    """Draw patients D1, D2 … one after another; their order does not tell their labels.

    Args:
        patients: how many.
        seed: the same arguments give the same patients.
        tumoral: their share, from 0 to 1, rounded to whole patients.
        cells: fewest and most cells of a patient.
        size: pixels of the square crops.
        appearance: as in `draw_patient`.

    Raises:
        SettingsError: as `draw_patient`.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(patients) < round(tumoral * patients)
    rng.shuffle(labels)
    counts = rng.integers(cells[0], cells[1], size=patients, endpoint=True)
    seeds = rng.integers(2**32, size=patients)
    for number, (label, count, own) in enumerate(zip(labels, counts, seeds, strict=True), start=1):
        yield draw_patient(f"D{number}", int(label), seed=int(own), cells=int(count), size=size, appearance=appearance)
