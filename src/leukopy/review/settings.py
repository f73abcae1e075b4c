"""The settings of a review station."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from leukopy.core.paths import review_folder
from leukopy.core.settings import Settings, Shown
from leukopy.fields.count_settings import CountSettings
from leukopy.review.records.exchange import Route


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


class Exchange(Settings):
    """Orders in and results out. Passwords and tokens stand in no setting: only where they are kept."""

    hl7_results: str | None = None
    """HOST:PORT that takes signed results as HL7 v2 ORU^R01 over MLLP."""
    hl7_receiver: str = ""
    """Receiving application and facility of these messages, joined by ^."""
    fhir_server: str | None = None
    """URL of a FHIR R4 server that takes signed results as transactions."""
    fhir_login: Path | None = None
    """File with the token, or user:password, of the FHIR server; else LEUKOPY_FHIR_LOGIN in the environment."""
    fhir_patients: str = ""
    """System (URI) of the patients' identifiers on that server."""
    orders_folder: Path | None = None
    """Folder from which tables of orders (CSV) are taken."""
    orders_port: int | None = Field(default=None, ge=0, le=65535)
    """Port on which orders come in, as HL7 v2 ORM^O01 or OML^O21 over MLLP; 0: any free one."""
    orders_host: str = "127.0.0.1"
    """Address on which orders come in."""
    orders_senders: tuple[str, ...] = ()
    """Addresses or networks that may send orders; none: any that reaches the port."""
    orders_owner: str = ""
    """User who owns ordered cases; empty: the first administrator."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where signed results are sent to."""
        given = {Route.HL7: self.hl7_results, Route.FHIR: self.fhir_server}
        return tuple(route for route, receiver in given.items() if receiver)

    @field_validator("hl7_results")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):[0-9]{1,5}", value):
            raise ValueError("give HOST:PORT, as in lis.example.org:2575")
        return value

    @field_validator("fhir_server")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("give the http or https address of a FHIR server, as in https://fhir.example.org/r4")
        if parts.username or parts.password:
            raise ValueError("keep the password in the file of fhir_login or in LEUKOPY_FHIR_LOGIN, not in the address")
        return value.rstrip("/")

    @field_validator("orders_senders")
    @classmethod
    def _networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ip_network(value, strict=False)
        return values


BeforeSigning = Literal["nothing", "unidentified", "queue", "cells"]


class ReviewSettings(Settings):
    """Settings of a station."""

    folder: Annotated[Path, Shown("~/.local/share/leukopy/review")] = Field(default_factory=review_folder)
    """Holds the embedded database, the images, the key of the audit log, and backups."""
    database: Annotated[str | None, Shown("SQLite in the folder")] = None
    """URL of a PostgreSQL database (postgresql+psycopg://…)."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    detector: str = "default"
    """Detector of cells on fields: a bundled one, or a bundle folder."""
    red_cell_shapes: str = "default"
    """Network for the shapes of red cells on fields: a bundled one, a bundle folder, or `none`."""
    counts: CountSettings = CountSettings()
    """The laboratory's own platelet estimate."""
    patient_model: str = "lymphocytosis"
    """A bundled patient model, or the folder of a patient bundle."""
    cluster: str | None = None
    """Ray cluster that classifies the cells of big cases: `auto`, or ray://HOST:PORT. Its machines have the station's
    leukopy and model, and its folder under the same path."""
    cluster_from: int = Field(default=1000, ge=1)
    """Waiting images from which a case is big."""
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
    exchange: Exchange = Exchange()
    """Orders in and results out."""
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
