"""A PostgreSQL server of its own on loopback, which may be killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Postgres:
    """A server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._account = _account()
        if self._account:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        self._call("initdb", "-D", self._data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "station")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://bench@127.0.0.1:{self.port}/station"

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        """Start it; after a kill, it recovers what was committed."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k ''"
        for _ in range(60):
            with suppress(subprocess.CalledProcessError):
                self._call("pg_ctl", "-D", self._data, "-l", str(self.folder / "log"), "-o", options, "-w", "start")
                return
            time.sleep(0.5)
        raise SystemExit(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill -9 of the server and of all that it started."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        for process in [first, *children_of(first)]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        who = self._account
        user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}
        command = [str(_binaries() / program), *arguments]
        subprocess.run(command, check=True, timeout=120, cwd=self.folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **user)  # fmt: skip


@contextmanager
def running() -> Iterator[Postgres]:
    """A server until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="leukopy_bench_"))
    server = Postgres(folder)
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder)


def children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _binaries() -> Path:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        places.insert(0, Path(on_path).resolve().parent)
    found = next((place for place in places if (place / "initdb").exists()), None)
    if found is None:
        raise SystemExit("no PostgreSQL on this machine: apt-get install postgresql")
    return found


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as where root runs the benchmark; None: the same user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
