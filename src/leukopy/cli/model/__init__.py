"""Commands that make models, fit their parts, and show them."""
