"""Networks (torch). One paper per file; the registry of backbones is ``leukopy.models.backbones``."""
