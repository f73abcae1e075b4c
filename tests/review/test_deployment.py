"""The page for administrators is followed literally once: PostgreSQL, settings, users, proxy, backup, restore.

Only names of hosts, ports and folders are those of this machine. nginx and PostgreSQL are real.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from support.commands import blocks
from support.files import REPOSITORY
from support.followed import lines_of, reason
from support.passwords import PASSWORD
from support.waiting import HANGS, until

ADMINISTRATORS = REPOSITORY / "docs" / "deployment.md"
HOST = "leukopy.example.org"

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def leukopy(folder: Path, line: str, typed: str = "") -> str:
    """Run a command line as the page shows it; passwords are typed without a terminal."""
    done = subprocess.run(
        ["bash", "-euc", line], cwd=folder, input=typed, start_new_session=True, capture_output=True, text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout + done.stderr


def certificate(folder: Path) -> None:
    """`leukopy.crt` and `leukopy.key`, signed by themselves, of the host of the page."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "leukopy.crt").write_bytes(signed.public_bytes(pem))
    unencrypted = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "leukopy.key").write_bytes(key.private_bytes(pem, *unencrypted))


@contextmanager
def proxied(folder: Path, server: str, station: int) -> Iterator[int]:
    """A real nginx with a server block of ours; its port."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    certificate(folder)
    port = free_port()
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}")
    server = re.sub(r"/etc/ssl/(leukopy/)?leukopy\.", f"{folder}/leukopy.", server)
    server = re.sub(r"proxy_pass http://[\w.]+:8765", f"proxy_pass http://127.0.0.1:{station}", server)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; daemon off;"
        f"{'user root;' if os.geteuid() == 0 else ''}"
        f"events {{}} http {{ access_log off; {temporary} {server} }}"
    )
    with subprocess.Popen([nginx, "-e", folder / "error.log", "-c", folder / "nginx.conf"]) as running:
        try:
            until(lambda: running.poll() is not None or answers(port))
            assert running.poll() is None, (folder / "error.log").read_text()
            yield port
        finally:
            running.terminate()


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


class Browser:
    """Speaks HTTPS with the proxy, which it knows by its certificate, from an address of its own."""

    def __init__(self, folder: Path, port: int, address: str) -> None:
        context = ssl.create_default_context(cafile=str(folder / "leukopy.crt"))
        self._socket = socket.create_connection(("127.0.0.1", port), HANGS, source_address=(address, 0))
        self._connection = http.client.HTTPSConnection(HOST)
        self._connection.sock = context.wrap_socket(self._socket, server_hostname=HOST)
        self._headers = {"Content-Type": "application/json", "Origin": f"https://{HOST}"}
        self.cookies: list[str] = []

    def ask(self, method: str, path: str, body: object = None) -> int:
        self._connection.request(method, path, json.dumps(body) if body is not None else None, self._headers)
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        if "csrf" in content:  # signed in
            self.cookies = answer.headers.get_all("Set-Cookie", self.cookies)
            self._headers["Cookie"] = "; ".join(one.partition(";")[0] for one in self.cookies)
            self._headers["X-CSRF-Token"] = content["csrf"]
        return answer.status

    def first_event(self, path: str) -> str:
        """Of a stream, which goes on."""
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse().readline().decode().strip()

    def sign_in(self, password: str) -> int:
        return self.ask("POST", "/api/v1/session", {"name": "ada", "password": password})

    def close(self) -> None:
        self._connection.close()


@contextmanager
def station(folder: Path, line: str) -> Iterator[None]:
    """The station of a command line, until the test is done with it."""
    command = ["bash", "-c", f"exec {line}"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            said = next((one for one in running.stdout or () if "is at http" in one), None)
            assert said is not None, "the station did not start"
            yield
        finally:
            running.terminate()
            running.communicate(timeout=HANGS)


@pytest.fixture
def settings(tmp_path: Path, postgres_server) -> dict[str, object]:
    """`station.yaml` of the page in the working folder, with the role and database that the page's SQL makes."""
    for statement in blocks(ADMINISTRATORS, "sql")[0].split(";")[:-1]:
        with postgres_server.admin.connect() as connection:
            connection.exec_driver_sql(statement)
    (block,) = blocks(ADMINISTRATORS, "yaml")
    assert yaml.safe_load(block)["port"] == 8765
    block = block.replace("/var/lib/leukopy", str(tmp_path / "station")).replace("8765", str(free_port()))
    block = block.replace("leukopy@localhost", f"leukopy@127.0.0.1:{postgres_server.admin.url.port}")
    (tmp_path / "station.yaml").write_text(block)
    read = yaml.safe_load(block)
    yield read
    with postgres_server.admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE leukopy WITH (FORCE)")
        connection.exec_driver_sql("DROP ROLE leukopy")


def test_the_page_for_administrators_is_followed(tmp_path: Path, settings: dict[str, object]) -> None:
    add_user, serve, backup, restore, verify = (
        line for block in blocks(ADMINISTRATORS) for line in lines_of(block) if reason(line) is None
    )
    leukopy(tmp_path, add_user, f"{PASSWORD}\n{PASSWORD}\n")
    (server,) = blocks(ADMINISTRATORS, "nginx")
    with (
        station(tmp_path, serve),
        proxied(tmp_path, server, int(str(settings["port"]))) as port,
        closing(Browser(tmp_path, port, "127.0.0.2")) as guessing,
        closing(Browser(tmp_path, port, "127.0.0.3")) as ada,
    ):
        assert [guessing.sign_in("a wrong guess") for _ in range(6)] == [401] * 5 + [429]
        assert ada.sign_in(PASSWORD) == 200, "the proxy hides the addresses of the users: name it in trusted_proxies"
        assert all("secure" in cookie.lower() for cookie in ada.cookies)
        assert ada.ask("GET", "/api/v1/me") == 200
        added = ada.ask("POST", "/api/v1/cases", {"slide": "S1", "patient": "P17"})
        assert added == 201, "the proxy hides the name of the host: changes look like those of another site"
        assert ada.first_event("/api/v1/worklist/events") == "event: ready", "the proxy keeps the events to itself"
        leukopy(tmp_path, backup, f"{PASSWORD}\n{PASSWORD}\n")
    said = leukopy(tmp_path, restore, f"{PASSWORD}\n")
    assert "1 cases" in said
    assert "are unchanged" in leukopy(tmp_path, verify)
    assert "are unchanged" in leukopy(tmp_path, "leukopy review --folder restored verify-audit")


def test_the_proxy_of_the_compose_file_is_that_of_the_page() -> None:
    (server,) = blocks(ADMINISTRATORS, "nginx")
    composed = (REPOSITORY / "deploy" / "nginx.conf").read_text("utf-8")
    assert composed.replace("station:8765", "127.0.0.1:8765").replace("/etc/ssl/leukopy/", "/etc/ssl/") == server
