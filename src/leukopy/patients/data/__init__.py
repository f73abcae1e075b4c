"""Cohorts of patients: tables, images and values, read from what people have."""

from leukopy.patients.data.cards import CHALLENGE_DATE, COHORTS, CohortCard
from leukopy.patients.data.cohort import PATIENT_CELL_SCHEMA, PATIENT_SCHEMA, PROBLEM_SCHEMA, Cohort, open_cohort
from leukopy.patients.data.copies import find_copies, with_digests
from leukopy.patients.data.values import PROBLEM_REASONS

__all__ = [
    "CHALLENGE_DATE",
    "COHORTS",
    "PATIENT_CELL_SCHEMA",
    "PATIENT_SCHEMA",
    "PROBLEM_REASONS",
    "PROBLEM_SCHEMA",
    "Cohort",
    "CohortCard",
    "find_copies",
    "open_cohort",
    "with_digests",
]
