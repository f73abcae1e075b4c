"""Public data sets: one reader and one card each, a manifest out; audit and splits."""
