"""The wing of slides: knowledge of a slide before and after its cells are classified."""
