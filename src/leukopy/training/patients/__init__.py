"""Training of patients' models: one recipe, nested folds, an ensemble (torch, scikit-learn)."""

from leukopy.training.patients.nested import Ensemble, fit_ensemble
from leukopy.training.patients.settings import PatientRecipe

__all__ = ["Ensemble", "PatientRecipe", "fit_ensemble"]
