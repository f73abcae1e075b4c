"""Training of the detector of cells on fields, from public pictures with boxes or points."""
