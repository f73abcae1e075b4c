"""The studies redone: trainings that are compared and ship no model."""
