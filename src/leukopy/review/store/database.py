"""Opens the database, and provides its transactions.

One gesture is one transaction. SQLite: ``BEGIN IMMEDIATE``, so that nothing changes between looking and writing.
PostgreSQL: the rows that decide (the case, the head of the log) are read ``FOR UPDATE``.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.core.errors import SettingsError
from leukopy.core.files import output_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store.errors import Unavailable
from leukopy.review.store.tables import Head
from leukopy.review.store.transaction import Transaction

DATABASE_FILE = "review.sqlite"
SETTINGS = "settings"
"""Where `Session.info` holds the settings of the station."""
RANKED = "ranked cells"
"""Where `Session.info` holds the ranks of the cells of cases (`store.cells`)."""
_MIGRATION_LOCK = 5_105_105
"""Any number that no other program uses for an advisory lock of the same database."""
_CONNECTIONS = 20
_PATIENCE = 3
"""Seconds to wait for a connection, and for another program that writes."""
SQLITE = (
    f"busy_timeout={1000 * _PATIENCE}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)
"""What is committed survives a power cut: a commit waits for the disk, some milliseconds."""


_TURN = 18
"""Seconds to wait for the other writers of this process; a page asks again after 20 (`LONGEST` of api.js)."""
BUSY = "the station is busy: nothing was stored. Try again in a moment."
HELD = "another program holds the database: nothing was stored. Try again in a moment."
AWAY = "the database does not answer: nothing was stored. Check that it runs, then try again."


class Database:
    """An engine with its transactions."""

    def __init__(self, url: sa.URL) -> None:
        self.sqlite = url.get_backend_name() == "sqlite"
        self._engine = sa.create_engine(
            url,
            pool_size=_CONNECTIONS,
            max_overflow=2 * _CONNECTIONS,
            hide_parameters=True,  # no values in messages
            pool_pre_ping=not self.sqlite,  # a server may have been started anew since the last use
            connect_args={} if self.sqlite or "connect_timeout" in url.query else {"connect_timeout": _PATIENCE},
        )
        self._writing = self._engine.execution_options(writing=True)
        # SQLite has one writer at a time, and who waits for it polls, longer and longer. Waiting here wakes at once.
        self._turn = threading.Lock()
        self.info: dict[Any, Any] = {RANKED: OrderedDict()}
        """Handed to every transaction as ``Session.info``: the key of the audit log, ranks of the last cases."""
        if self.sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only transaction on one state of the database.

        Raises:
            Unavailable: the database is away.
        """
        with _available(), Session(self._engine, autoflush=False, info=self.info) as db, db.begin():
            if not self.sqlite:
                db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield db

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, or rolls back after an exception.

        Raises:
            Unavailable: the database is away, or another program holds it.
        """
        with (
            _available(),
            self._own_turn(),
            Transaction(self._writing, autoflush=False, expire_on_commit=False, info=self.info) as db,
            db.begin(),
        ):
            yield db

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Of the writers of this process, one at a time, where the database has one writer."""
        if not self.sqlite:
            yield
            return
        if not self._turn.acquire(timeout=_TURN):
            raise Unavailable(BUSY)
        try:
            yield
        finally:
            self._turn.release()

    def ping(self) -> None:
        """Raises Unavailable: the database does not answer."""
        with self.read() as db:
            db.execute(sa.select(1))

    def forget(self) -> None:
        """Empty SQLite's write-ahead log, which keeps erased rows a while. (PostgreSQL: VACUUM.)"""
        if self.sqlite:
            with self._own_turn(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def migrate(self) -> None:
        """Upgrade the tables to this version; several processes may start at once.

        Raises:
            SettingsError: the database cannot be reached, or was written by a newer leukopy.
        """
        with self._reached(), self._engine.begin() as connection:  # reading waits for no writer
            if is_newest(connection):
                return
        with self._reached(), self._writing.begin() as connection:  # SQLite: nobody else writes meanwhile
            if not self.sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if not is_newest(connection):
                from leukopy.review.store.migrate import upgrade  # noqa: PLC0415 - alembic takes long to import

                upgrade(connection)

    def is_unused(self) -> bool:
        """Whether it holds no table at all, or only those of a station in which nothing was ever done.

        Raises:
            SettingsError: the database cannot be reached.
        """
        with self._reached(), self._engine.begin() as connection:
            tables = sa.inspect(connection).get_table_names()
            ours = Head.__tablename__ in tables
            return not tables or (ours and connection.scalar(sa.select(Head.number)) == 0)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            if isinstance(error.orig, sqlite3.Error) and "locked" in str(error.orig):
                raise SettingsError(f"the database {where} is held by another program. Try again.") from error
            message = f"the database {where} cannot be opened: check that it runs, its address and the user."
            raise SettingsError(message) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


_SQLITE_AWAY = ("locked", "unable to open", "disk", "readonly")
"""What SQLite says of a file that it cannot use now."""


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, sqlite3.Error) and not any(word in str(error.orig) for word in _SQLITE_AWAY):
            raise  # a statement that is wrong
        raise Unavailable(HELD if "locked" in str(error.orig) else AWAY) from error
    except sa.exc.TimeoutError as error:  # no connection of the pool became free
        raise Unavailable(AWAY) from error


def open_database(settings: ReviewSettings) -> Database:
    """The database of a station, its tables not yet looked at.

    Raises:
        SettingsError: the URL is none, or of a database that leukopy does not know.
        OutputError: the file of the embedded database cannot be made.
    """
    if settings.database is None:
        path = settings.folder / DATABASE_FILE
        try:
            path.touch(mode=0o600)  # SQLite gives its other files the same mode
        except OSError as error:
            raise output_error(path, error) from error
        return Database(sa.URL.create("sqlite", database=str(path)))
    try:
        url = sa.make_url(settings.database)
    except sa.exc.ArgumentError as error:
        raise SettingsError("the database URL is not one: give postgresql+psycopg://user@host/name.") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise SettingsError(f"database {url.get_backend_name()!r} is unknown; known: postgresql+psycopg, sqlite.")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return Database(url)


def is_newest(connection: sa.Connection) -> bool:
    """Whether the tables are those of the last migration."""
    newest = max(path.stem for path in (Path(__file__).parent / "migrations" / "versions").glob("v*.py"))
    versions = sa.table("alembic_version", sa.column("version_num"))
    if not sa.inspect(connection).has_table(versions.name):
        return False
    return newest.startswith(f"v{connection.scalar(sa.select(versions.c.version_num))}_")


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Each new connection: transactions begin where we say so."""
    connection.isolation_level = None
    for pragma in SQLITE:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
