"""The ground floor of every folder: errors, settings, files, provenance, progress, registry."""
