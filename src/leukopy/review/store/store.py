"""The store of a review station: each method is one gesture, and one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from leukopy.core.files import output_error
from leukopy.review import records as r
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import (
    audit,
    classes,
    jobs,
    labels,
    results,
    sessions,
    users,
    verification,
)
from leukopy.review.store.cases import CaseStore
from leukopy.review.store.cells import CellStore
from leukopy.review.store.corrections import CorrectionStore
from leukopy.review.store.database import Database, open_database
from leukopy.review.store.images import ImageStore
from leukopy.review.store.predictions import PredictionStore
from leukopy.review.store.signing import SigningStore

IMAGES = "images"


class Store:
    """Cases, cells, corrections, signatures, users, jobs and the log. May be used from several threads.

    Methods take who acts first, and check what they may. They raise the errors of `store.errors`; the functions
    that they call say which. Open one with `Store.open`.
    """

    def __init__(self, settings: ReviewSettings, database: Database, passwords: users.Passwords) -> None:
        self.settings = settings
        self.database = database
        self.images = ImageStore(settings.folder / IMAGES)
        self.passwords = passwords
        self.cases = CaseStore(database)
        self.cells = CellStore(database, self.images, settings)
        self.predictions = PredictionStore(database)
        self.corrections = CorrectionStore(database)
        self.signing = SigningStore(database)

    @classmethod
    def open(cls, settings: ReviewSettings, passwords: users.Passwords | None = None) -> Self:
        """Open the store of a station; an empty one is made where there is none.

        Raises:
            SettingsError: the database cannot be opened, or the key of its log is missing.
            OutputError: the folder cannot be made.
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
        return cls(settings, database, passwords or users.Passwords())

    def close(self) -> None:
        """End all connections."""
        self.database.close()

    def history(self, user: r.User, case_id: str) -> tuple[r.AuditEntry, ...]:
        """What was done to a case, first things first."""
        with self.database.read() as db:
            return audit.history(db, user, case_id)

    # Users and their sessions. Passwords are hashed outside the transactions: it takes long, by design.

    def add_user(self, user: r.User | None, new: r.NewUser) -> r.User:
        """Add a user; None: the command line, which makes the first administrator."""
        password = self.passwords.hash(new.password)
        with self.database.write() as db:
            return users.add_user(db, user, new, password)

    def change_user(self, user: r.User, user_id: str, change: r.UserChange) -> r.User:
        """Give a user other values; users may change their own password."""
        password = None if change.password is None else self.passwords.hash(change.password)
        with self.database.write() as db:
            return users.change_user(db, user, user_id, change, password)

    def users(self, user: r.User) -> tuple[r.User, ...]:
        """All users (administrators), or those who work here now."""
        with self.database.read() as db:
            return users.users(db, user)

    def check_password(self, name: str, password: str) -> r.User | None:
        """Who this is; None: no such active user, or another password. Takes the same time either way."""
        with self.database.read() as db:
            found = users.stored_password(db, name)
        user, stored = found or (None, None)
        right = self.passwords.check(stored, password)
        if user and not right:
            with self.database.write() as db:
                audit.append(db, user, "session.refused")
        if not (user and right and stored):
            return None
        if self.passwords.outdated(stored):
            new = self.passwords.hash(password)
            with self.database.write() as db:
                users.set_hash(db, user, stored, new)
        return user

    def start_session(self, user: r.User) -> results.NewSession:
        """Log a user in."""
        with self.database.write() as db:
            return sessions.start_session(db, user, self.settings.session)

    def session(self, token: str) -> results.LiveSession | None:
        """Who a token belongs to; None: it is over, or was never."""
        with self.database.read() as db:
            found = sessions.live_session(db, token, self.settings)
        if found is None:
            return None
        session, stale = found
        if stale:
            with self.database.write() as db:
                sessions.note_use(db, token)
        return session

    def end_session(self, token: str) -> None:
        """Log out."""
        with self.database.write() as db:
            sessions.end_session(db, token)

    def single_user(self) -> r.User:
        """The one user of a station that nobody logs in to."""
        with self.database.write() as db:
            return users.single_user(db)

    # Jobs

    def start_job(self, user: r.User, case_id: str) -> r.Job:
        """Have the images of a case classified; where that is under way already, its job."""
        with self.database.write() as db:
            return jobs.start_job(db, user, case_id)

    def job(self, user: r.User, case_id: str) -> r.Job | None:
        """The last job of a case."""
        with self.database.read() as db:
            return jobs.job(db, user, case_id)

    def cancel_job(self, user: r.User, case_id: str) -> r.Job:
        """End the job of a case; what it classified stays."""
        with self.database.write() as db:
            return jobs.cancel_job(db, user, case_id)

    def claim_job(self, worker: str) -> r.Job | None:
        """Take the oldest job that waits, or whose worker was lost."""
        with self.database.write() as db:
            return jobs.claim_job(db, worker)

    def progress(self, job_id: str, done: int, total: int) -> bool:
        """Note how far a job is, and that its worker lives; False: it was cancelled, stop."""
        with self.database.write() as db:
            return jobs.progress(db, job_id, done, total)

    def finish_job(self, job_id: str, state: r.JobState, message: str = "") -> r.Job:
        """End a running job; one that was cancelled stays so."""
        with self.database.write() as db:
            return jobs.finish_job(db, job_id, state, message)

    # Classes, labels, log

    def classes(self, user: r.User) -> tuple[r.ClassChoice, ...]:  # noqa: ARG002  every user may give them
        """All classes that a reader may give, in display order."""
        with self.database.read() as db:
            return classes.classes(db)

    def add_class(self, user: r.User, choice: r.ClassChoice) -> r.ClassChoice:
        """Add a class of the laboratory's own."""
        with self.database.write() as db:
            return classes.add_class(db, user, choice)

    def code_pairs(self, user: r.User, case_id: str | None = None) -> results.CodePairs:
        """Reader's and model's codes of one case as it stands, or of all signed cases that the user may see."""
        with self.database.read() as db:
            return labels.code_pairs(db, user, case_id)

    def signed_cells(self, user: r.User) -> tuple[results.SignedCell, ...]:
        """All cells of signed cases with the class that counts, for training."""
        with self.database.read() as db:
            return labels.signed_cells(db, user)

    def entries(self, user: r.User, page: int = 1) -> tuple[r.AuditEntry, ...]:
        """A page of 100 entries of the log, latest first."""
        with self.database.read() as db:
            return audit.entries(db, user, page)

    def verify_audit(self) -> r.AuditCheck:
        """Go through the whole log, and through all that was signed."""
        with self.database.read() as db:
            return verification.verify(db)


def make_folder(folder: Path) -> None:
    """The folder of a station, for its own account alone.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / IMAGES).mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
