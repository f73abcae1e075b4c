"""The store of a review station, in parts by subject."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from leukopy.core.files import output_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store.alarms import count_missing
from leukopy.review.store.audit_log import AuditStore
from leukopy.review.store.cases import CaseStore
from leukopy.review.store.cells import CellStore
from leukopy.review.store.classes import ClassStore
from leukopy.review.store.corrections import CorrectionStore
from leukopy.review.store.database import SETTINGS, Database, open_database
from leukopy.review.store.eye_counts import EyeCountStore
from leukopy.review.store.fields import FieldStore
from leukopy.review.store.images import ImageStore
from leukopy.review.store.jobs import JobStore
from leukopy.review.store.labels import LabelStore
from leukopy.review.store.merging import MergingStore
from leukopy.review.store.models import ModelStore
from leukopy.review.store.orders import OrderStore
from leukopy.review.store.outbox import OutboxStore
from leukopy.review.store.phrases import PhraseStore
from leukopy.review.store.planning import PlanningStore
from leukopy.review.store.predictions import PredictionStore
from leukopy.review.store.quality import QualityStore
from leukopy.review.store.readings import ReadingStore
from leukopy.review.store.removal import RemovalStore
from leukopy.review.store.rules import RuleStore
from leukopy.review.store.sessions import SessionStore
from leukopy.review.store.signing import SigningStore
from leukopy.review.store.users import Passwords, UserStore

IMAGES = "images"


class Store:
    """The parts of an open store. They may be used from several threads.

    Each method of a part is one gesture and one transaction (`Database.read`, `Database.write`). Methods take the
    acting user first, check the user's permissions, and raise the errors of `store.errors`.
    """

    def __init__(self, settings: ReviewSettings, database: Database, passwords: Passwords) -> None:
        self.settings = settings
        self.database = database
        database.info[SETTINGS] = settings
        self.images = ImageStore(settings.folder / IMAGES)
        self.cases = CaseStore(database)
        self.planning = PlanningStore(database)
        self.phrases = PhraseStore(database)
        self.rules = RuleStore(database)
        self.readings = ReadingStore(database)
        self.quality = QualityStore(database)
        self.merging = MergingStore(database, settings)
        self.eye_counts = EyeCountStore(database, settings)
        self.cells = CellStore(database, self.images, settings)
        self.fields = FieldStore(database, self.images, settings)
        self.predictions = PredictionStore(database)
        self.corrections = CorrectionStore(database)
        self.signing = SigningStore(database, settings.before_signing, settings.exchange.routes)
        self.outbox = OutboxStore(database, settings.exchange.routes)
        self.orders = OrderStore(database, settings)
        self.users = UserStore(database, passwords)
        self.sessions = SessionStore(database, settings)
        self.jobs = JobStore(database)
        self.classes = ClassStore(database)
        self.labels = LabelStore(database)
        self.models = ModelStore(database, settings)
        self.removal = RemovalStore(database, self.images)
        self.audit = AuditStore(database, self.images)

    @classmethod
    def open(cls, settings: ReviewSettings, passwords: Passwords | None = None) -> Self:
        """Open the store of a station; create it in an empty folder and database.

        Raises:
            SettingsError: the database cannot be opened, or the key of its log is missing.
            OutputError: the folder cannot be created.
        """
        make_folder(settings.folder)
        database = open_database(settings)
        try:
            database.migrate()
            with database.write() as db:
                audit.open_log(db, database.info, settings.folder)
        except BaseException:
            database.close()
            raise
        store = cls(settings, database, passwords or Passwords())
        count_missing(database)
        return store

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def make_folder(folder: Path) -> None:
    """Create the folder of a station, for its own account only.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / IMAGES).mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
