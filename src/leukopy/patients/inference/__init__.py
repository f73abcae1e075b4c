"""A patient model at work: cells to a bag, a bag to a probability, rows."""
