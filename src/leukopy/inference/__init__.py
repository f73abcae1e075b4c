"""Bundles at work: images in, rows out. No torch here."""
