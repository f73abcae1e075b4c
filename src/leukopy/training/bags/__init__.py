"""Training of patients' networks (torch, Lightning)."""

from leukopy.training.bags.export import export_cell_network, export_patient_model
from leukopy.training.bags.fit import BagFit, fit_bags
from leukopy.training.bags.settings import BagNetSettings, PictureSettings

__all__ = ["BagFit", "BagNetSettings", "PictureSettings", "export_cell_network", "export_patient_model", "fit_bags"]
