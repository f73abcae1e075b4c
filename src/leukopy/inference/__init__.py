"""Inference with bundles: images in, rows out. No torch here."""

from leukopy.inference.features import activations, embeddings, file_activations

__all__ = ["activations", "embeddings", "file_activations"]
