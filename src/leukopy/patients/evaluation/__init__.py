"""Figures of patients: cross-validation, calibration, intervals over patients."""
