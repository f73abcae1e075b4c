"""A real PostgreSQL on loopback, for all tests of the review station; skipped with a reason where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from leukopy.review.store.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes an empty database on a server that lives as long as the tests; gives its URL.

    The databases are copied from one that has its tables already: that takes a tenth of the time.
    """
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
        yield _databases(f"postgresql+psycopg://tests@127.0.0.1:{port}/")
    finally:
        call(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def _databases(server: str) -> Callable[[], str]:
    admin = sa.create_engine(f"{server}postgres", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE with_tables")
    database = Database(sa.make_url(f"{server}with_tables"))
    database.migrate()
    database.close()
    numbers = count()

    def make(template: str = "with_tables") -> str:
        name = f"test_{next(numbers)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return server + name

    return make


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
