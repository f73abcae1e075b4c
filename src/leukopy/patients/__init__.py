"""The wing of patients: reactive or tumoral lymphocytosis from a bag of cells, age and lymphocyte count."""
