"""Outputs for people and programs: differential count, report page, evaluation files."""
