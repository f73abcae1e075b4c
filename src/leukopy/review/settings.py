"""The settings of a review station."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from leukopy.core.settings import Settings


class Limits(Settings):
    """What a station takes from outside."""

    upload_bytes: int = Field(default=512 * 2**20, ge=1)
    """Of one request."""
    image_bytes: int = Field(default=32 * 2**20, ge=1)
    """Of one image. Its pixels are limited by ``leukopy.imaging.decode``."""
    zip_entries: int = Field(default=5000, ge=1)
    zip_bytes: int = Field(default=2 * 2**30, ge=1)
    """Of all entries of a zip, unpacked; counted while unpacking, not as the zip claims."""
    zip_ratio: int = Field(default=200, ge=1)
    """Unpacked to packed size of an entry."""
    cells_per_case: int = Field(default=5000, ge=1)
    logins_per_minute: int = Field(default=5, ge=1)
    """Failed ones, for one name or one address."""


class ReviewSettings(Settings):
    """All that decides how a station works."""

    folder: Path
    """Holds the embedded database, the images (``images/ab/abcdef…``), the key of the audit log, and backups."""
    database: str | None = None
    """SQLAlchemy URL (``postgresql+psycopg://…``); None: SQLite in ``folder``."""
    model: str = "default"
    patient_model: str = "lymphocytosis"
    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    """0: a free one."""
    serve: bool = False
    """False: one user on this computer, let in by the one-time token of the printed address. True: users log in."""
    https: bool = False
    """Served behind HTTPS: cookies are marked Secure."""
    session: timedelta = timedelta(hours=8)
    idle: timedelta = timedelta(minutes=30)
    limits: Limits = Limits()
    reference: dict[str, Any] = Field(default_factory=dict)
    """The laboratory's reference ranges in % (`ReferenceRanges`); empty: adults."""
    absolute: dict[str, tuple[float, float]] = Field(
        default={
            "WBC": (4.0, 11.0), "NEU": (2.0, 7.5), "LY": (1.0, 4.5), "MO": (0.2, 1.0), "EO": (0.0, 0.5),
            "BA": (0.0, 0.1),
        }
    )  # fmt: skip
    """Usual absolute counts, 10⁹/L."""
    laboratory: str = ""
    """Its name on the reports."""
    micrometres_per_pixel: float | None = Field(default=None, gt=0)
    """Of the images, where known: gives scale bars."""
