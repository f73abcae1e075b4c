"""The wing of slides: what is known of a slide before and after its cells are classified."""
