"""Networks of patients: many cells and two clinical numbers in, one log-odds of tumoral out (torch)."""

from leukopy.patients.models.contract import BagOutput, BagShape
from leukopy.patients.models.experts import Experts
from leukopy.patients.models.image_patient_net import ImagePatientNet
from leukopy.patients.models.patient_net import PatientNet
from leukopy.patients.models.registry import BAG_NETS, BagEntry

__all__ = ["BAG_NETS", "BagEntry", "BagOutput", "BagShape", "Experts", "ImagePatientNet", "PatientNet"]
