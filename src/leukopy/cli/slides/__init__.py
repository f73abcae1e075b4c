"""Commands for whole slides."""
