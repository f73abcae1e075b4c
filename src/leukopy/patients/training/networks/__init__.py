"""Training of patients' networks (torch, Lightning)."""

from leukopy.patients.training.networks.export import export_patient_model
from leukopy.patients.training.networks.fit import BagFit, fit_bags
from leukopy.patients.training.networks.settings import PatientNetSettings, PictureSettings

__all__ = ["BagFit", "PatientNetSettings", "PictureSettings", "export_patient_model", "fit_bags"]
