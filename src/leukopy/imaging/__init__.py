"""Bytes to pixels: decoding, the preprocessing spec, augmentation. No torch here."""
