"""Studies: trainings that are compared and ship no model."""
