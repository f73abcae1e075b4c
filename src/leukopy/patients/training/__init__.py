"""Training of patients' models: one recipe, nested folds, an ensemble (torch, scikit-learn)."""

from leukopy.patients.training.nested import Ensemble, fit_ensemble
from leukopy.patients.training.settings import PatientRecipe

__all__ = ["Ensemble", "PatientRecipe", "fit_ensemble"]
