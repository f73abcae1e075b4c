"""Recipes that turn manifests into bundles (torch, Lightning)."""

from leukopy.models import compiled_operators as compiled_operators  # before lightning, which imports torchvision
