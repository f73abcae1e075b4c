"""``leukopy cluster …``."""
