"""The wing of fields: fields of view and whole slides to located cells, red cells and platelets."""
