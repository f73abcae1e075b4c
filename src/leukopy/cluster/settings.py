"""Settings of a plan: the input, the model, and all that changes a row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from leukopy.core.settings import Settings, Shown
from leukopy.fields.count_settings import CountSettings


class PlanSettings(Settings):
    """Settings of `cluster plan`."""

    input: str
    """A manifest (.csv, .parquet) with the column `slide`, a folder with one sub-folder per slide, or a prefix of an
    object store (s3://bucket/prefix)."""
    input_kind: Annotated[Literal["cells", "fields", "slide"] | None, Shown("recognised by content")] = None
    """Kind of picture: one cell, a field of view, or a whole slide."""
    model: str = "default"
    """A bundled model, or a bundle folder that every machine reads."""
    classes: Literal["all", "healthy"] = "all"
    """all: with blasts and smudge cells; healthy: only the classes of healthy blood."""
    detector: str = "default"
    """Detector of cells on fields: a bundled one, or a bundle folder."""
    pages: Literal["fields", "planes"] = "fields"
    """Pages of a file: fields of their own, or focus planes of one field."""
    focus: Literal["sharpest", "fused"] = "sharpest"
    """Picture of a field with several focus planes: the sharpest plane, or all planes fused."""
    leukocytes: int = Field(default=200, ge=1, le=100_000)
    """Leukocytes after which the search of a whole slide ends."""
    um_per_px: Annotated[float | None, Shown("measured on the red cells")] = Field(default=None, ge=0.02, le=5)
    """Micrometres per pixel of whole slides, if their files do not state them."""
    counts: CountSettings = CountSettings()
    """The laboratory's own platelet estimate."""
    reference: Annotated[dict[str, Any], Shown("adults")] = Field(default_factory=dict)
    """The laboratory's reference ranges, in % of the leukocytes."""
    blast_probability: float = Field(default=0.9, gt=0, le=1)
    """Minimum probability at which a single blast raises the alarm."""
    blast_share: float = Field(default=1.0, ge=0, lt=100)
    """Share of blasts, in %, that the lower 95 % limit must exceed to raise the alarm."""
    shard_images: int = Field(default=10_000, ge=1, le=1_000_000)
    """Pictures of one shard, about; a slide is never divided. A field counts as 20 pictures, a whole slide as 1,000."""

    @field_validator("input", "model", "detector")
    @classmethod
    def _absolute(cls, path: str) -> str:
        """Make paths absolute: a plan is read from other folders and machines."""
        return str(Path(path).absolute()) if "://" not in path and Path(path).exists() else path
