"""What every folder stands on: errors, settings, files, provenance, progress, registry."""
