"""The contract between training and everything else: a folder with ``model.onnx`` and ``card.json``."""

from leukopy.bundle.card import (
    AttributeHead,
    Attributes,
    Calibration,
    Card,
    Confusion,
    CountError,
    DatasetUse,
    LaboratoryAppearance,
    Metric,
    ModelFile,
    OpenSet,
    OutsideClasses,
    SlideCheck,
    SlideClasses,
    Thresholds,
)
from leukopy.bundle.store import Bundle, NetworkFile, add_metrics, bundled_models, open_bundle, write_bundle

__all__ = [
    "AttributeHead",
    "Attributes",
    "Bundle",
    "Calibration",
    "Card",
    "Confusion",
    "CountError",
    "DatasetUse",
    "LaboratoryAppearance",
    "Metric",
    "ModelFile",
    "NetworkFile",
    "OpenSet",
    "OutsideClasses",
    "SlideCheck",
    "SlideClasses",
    "Thresholds",
    "add_metrics",
    "bundled_models",
    "open_bundle",
    "write_bundle",
]
