"""Patients: reactive or tumoral lymphocytosis. One function per verb."""
