"""Look at a collection of cells before any model: its measures, outliers, mean cells, projections, on one page."""
