"""Arrays in, numbers out: classification, calibration, intervals, the differential count."""

from leukopy.evaluation.calibration import CalibrationReport, calibration, fit_temperature
from leukopy.evaluation.classification import (
    Classification,
    classification,
    coarse_indices,
    fine_indices,
    member_mask,
)
from leukopy.evaluation.differential import Differential, Line, ReferenceRanges, differential
from leukopy.evaluation.intervals import Estimate, bootstrap, clopper_pearson

__all__ = [
    "CalibrationReport",
    "Classification",
    "Differential",
    "Estimate",
    "Line",
    "ReferenceRanges",
    "bootstrap",
    "calibration",
    "classification",
    "clopper_pearson",
    "coarse_indices",
    "differential",
    "fine_indices",
    "fit_temperature",
    "member_mask",
]
