"""Exploration of a collection of cells before any model: measures, outliers, mean cells, projections, on one page."""
