"""The contract between training and everything else: a folder with ``model.onnx`` and ``card.json``."""

from leukopy.bundle.card import (
    AttributeHead,
    Attributes,
    Calibration,
    Card,
    DatasetUse,
    LaboratoryLook,
    Metric,
    ModelFile,
    OpenSet,
    SlideCheck,
    SlideClasses,
    Thresholds,
)
from leukopy.bundle.patient_store import (
    DEFAULT_PATIENT_MODEL,
    PatientBundle,
    bundled_patient_models,
    open_patient_bundle,
    write_patient_bundle,
)
from leukopy.bundle.store import Bundle, add_metrics, bundled_models, open_bundle, write_bundle

__all__ = [
    "DEFAULT_PATIENT_MODEL",
    "AttributeHead",
    "Attributes",
    "Bundle",
    "Calibration",
    "Card",
    "DatasetUse",
    "LaboratoryLook",
    "Metric",
    "ModelFile",
    "OpenSet",
    "PatientBundle",
    "SlideCheck",
    "SlideClasses",
    "Thresholds",
    "add_metrics",
    "bundled_models",
    "bundled_patient_models",
    "open_bundle",
    "open_patient_bundle",
    "write_bundle",
    "write_patient_bundle",
]
