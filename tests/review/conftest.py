"""A real PostgreSQL on loopback, for all tests of the review station; skipped with a reason where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from leukopy.review.store.database import Database
from leukopy.review.store.tables import Base

TRIGGERS = 5
"""Of the station's tables: three that only grow, and two on the head of the log."""


@dataclass(frozen=True)
class Server:
    """Databases with the station's tables, emptied after use: making one takes ten times as long."""

    url: str
    admin: sa.Engine
    free: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def new_database(self) -> str:
        """The name of a database without tables."""
        name = f"test_{next(self.numbers)}"
        with self.admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return name

    def drop(self, name: str) -> None:
        """Delete a database."""
        with self.admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def take(self) -> str:
        """The name of an empty database."""
        if self.free:
            return self.free.pop()
        name = self.new_database()
        database = Database(sa.make_url(self.url + name))
        database.migrate()
        database.close()
        return name

    def give_back(self, name: str) -> None:
        """Empty a database; one whose triggers were dropped, or which has other tables, is thrown away."""
        engine = sa.create_engine(self.url + name, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no triggers, no foreign keys
            triggers = connection.exec_driver_sql("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").scalar()
            tables = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
            good = triggers == TRIGGERS and tables == set(Base.metadata.tables)
            if good:
                for table in tables - {"audit_head"}:
                    connection.exec_driver_sql(f"DELETE FROM {table}")
                connection.exec_driver_sql("UPDATE audit_head SET number = 0, hash = '', seal = ''")
        if good:
            self.free.append(name)
            return
        self.drop(name)


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[Callable[[], str]]:
    """Gives the URL of a database with the station's tables and nothing in them; for this test alone."""
    taken: list[str] = []

    def take() -> str:
        taken.append(postgres_server.take())
        return postgres_server.url + taken[-1]

    yield take
    for name in taken:
        postgres_server.give_back(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server that lives as long as the tests."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    # Not below tmp_path: the server runs as another user when the tests run as root, and must reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="leukopy_postgres_"))
    account = _account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(*command: str) -> None:
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        ran = subprocess.run(
            command, check=False, timeout=120, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **user
        )
        assert ran.returncode == 0, ran.stderr.decode()

    data, options = str(folder / "data"), f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k ''"
    call(str(binaries / "initdb"), "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
    start = ("-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    call(str(binaries / "pg_ctl"), *start)
    try:
        url = f"postgresql+psycopg://tests@127.0.0.1:{port}/"
        yield Server(url, sa.create_engine(f"{url}postgres", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool))
    finally:
        call(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def _binaries() -> Path | None:
    """The folder of initdb and pg_ctl: that of the PATH, or Debian's, newest first."""
    on_path = shutil.which("initdb")
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(versions, key=lambda place: int(place.parent.name), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as where the tests run as root, which it refuses; None: as we do."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    found = names.get("postgres") or names.get("nobody")
    if found is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody'")
    return found
