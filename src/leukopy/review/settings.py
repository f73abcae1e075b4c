"""The settings of a review station."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from leukopy.core.paths import review_folder
from leukopy.core.settings import Settings, Shown


class Limits(Settings):
    """Limits of uploads, cases and log-ins."""

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
    """Failed ones from one address."""


BeforeSigning = Literal["nothing", "unidentified", "queue", "cells"]


class ReviewSettings(Settings):
    """Settings of a station."""

    folder: Annotated[Path, Shown("~/.local/share/leukopy/review")] = Field(default_factory=review_folder)
    """Holds the embedded database, the images, the key of the audit log, and backups."""
    database: Annotated[str | None, Shown("SQLite in the folder")] = None
    """URL of a PostgreSQL database (postgresql+psycopg://…)."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    patient_model: str = "lymphocytosis"
    """A bundled patient model, or the folder of a patient bundle."""
    host: str = "127.0.0.1"
    """Address that the station listens on."""
    port: int = Field(default=8765, ge=0, le=65535)
    """Port that the station listens on; 0: any free one."""
    serve: bool = False
    """Several users, who log in; without, one user on this computer, let in by the one-time token of the address."""
    https: bool = False
    """The station is reached by HTTPS, through a proxy: cookies are marked Secure."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of the proxies whose X-Forwarded-For is believed."""
    session: timedelta = timedelta(hours=8)
    """Longest time between two logins."""
    idle: timedelta = timedelta(minutes=30)
    """Longest time without a request before a user logs in again."""
    retention: Annotated[timedelta | None, Shown("for ever")] = None
    """Time after the last change after which a signed or void case is due for erasure."""
    limits: Limits = Limits()
    """What the station takes from outside."""
    reference: Annotated[dict[str, Any], Shown("adults")] = Field(default_factory=dict)
    """The laboratory's reference ranges of adults, in % of the leukocytes."""
    absolute: dict[str, tuple[float, float]] = Field(
        default={
            "WBC": (4.0, 11.0), "NEU": (2.0, 7.5), "LY": (1.0, 4.5), "MO": (0.2, 1.0), "EO": (0.0, 0.5),
            "BA": (0.0, 0.1),
        }
    )  # fmt: skip
    """Usual absolute counts of adults, 10⁹/L."""
    before_signing: BeforeSigning = "queue"
    """What readers must have seen before a case is reviewed and signed: nothing, all unidentified cells, all cells to
    look at (the unidentified ones among them), or all cells."""
    ranges: Annotated[Path | None, Shown("children, Dallman 1977")] = None
    """The laboratory's table of usual ranges by age and sex (CSV)."""
    laboratory: str = ""
    """Name of the laboratory on the reports."""
    micrometres_per_pixel: float | None = Field(default=None, gt=0)
    """Size of a pixel of the images; gives scale bars."""
