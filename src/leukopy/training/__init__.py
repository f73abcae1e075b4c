"""Recipes that turn manifests into bundles (torch, Lightning)."""
