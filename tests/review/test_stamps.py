"""Stamps of the audit log, also by a real time-stamping authority on loopback."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from leukopy.core.errors import InputError, OutputError
from leukopy.review.records import AuditHead
from leukopy.review.stamps import Stamp, check, message, read_stamp, write_stamp

HEAD = AuditHead(number=36, hash="ab" * 32)
CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
[usage]
extendedKeyUsage = critical,timeStamping
"""


def openssl(*arguments: object, data: bytes = b"") -> bytes:
    ran = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and root certificate of an authority (openssl ts) behind HTTP."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *key, "-keyout", folder / "root.key", "-out", folder / "root.pem", "-subj", "/CN=root",
            "-days", "2")  # fmt: skip
    openssl("req", *key, "-keyout", folder / "tsa.key", "-out", folder / "tsa.csr", "-subj", "/CN=tsa")
    openssl("x509", "-req", "-in", folder / "tsa.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
            "-CAcreateserial", "-days", "2", "-extfile", folder / "tsa.cnf", "-extensions", "usage", "-out",
            folder / "tsa.pem")  # fmt: skip

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = folder / "query.tsq"
            query.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            openssl("ts", "-reply", "-queryfile", query, "-config", folder / "tsa.cnf", "-out", folder / "answer.tsr")
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write((folder / "answer.tsr").read_bytes() if self.path == "/tsr" else b"nonsense")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/tsr", folder / "root.pem"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stamp_without_an_authority_keeps_the_head(tmp_path):
    path = tmp_path / "stamp.json"
    assert write_stamp(HEAD, path).head == HEAD
    assert read_stamp(path).head == HEAD
    check(read_stamp(path))
    with pytest.raises(OutputError, match="never overwritten"):
        write_stamp(HEAD, path)


def test_the_answer_of_an_authority_is_verified(tmp_path, authority):
    address, roots = authority
    stamp = write_stamp(HEAD, tmp_path / "stamp.json", address)
    check(read_stamp(tmp_path / "stamp.json"), roots)
    moved = Stamp(head=HEAD.model_copy(update={"number": 35}), authority=address, response=stamp.response)
    with pytest.raises(InputError, match="stamped something else"):
        check(moved, roots)


def test_openssl_verifies_the_same_answer(tmp_path, authority):
    import base64

    address, roots = authority
    stamp = write_stamp(HEAD, tmp_path / "stamp.json", address)
    (tmp_path / "head").write_bytes(message(HEAD))
    (tmp_path / "answer.tsr").write_bytes(base64.b64decode(stamp.response))
    out = openssl("ts", "-verify", "-in", tmp_path / "answer.tsr", "-data", tmp_path / "head", "-CAfile", roots)
    assert b"OK" in out


def test_another_authority_is_not_believed(tmp_path, authority):
    address, _ = authority
    stamp = write_stamp(HEAD, tmp_path / "stamp.json", address)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "other.pem",
            "-subj", "/CN=other", "-days", "2")  # fmt: skip
    with pytest.raises(InputError, match="not by an authority"):
        check(stamp, tmp_path / "other.pem")


@pytest.mark.parametrize("wrong", ["ftp://host/tsr", "http://127.0.0.1:1/tsr"])
def test_an_authority_that_is_none_is_said(tmp_path, wrong):
    with pytest.raises(InputError):
        write_stamp(HEAD, tmp_path / "stamp.json", wrong)
    assert not (tmp_path / "stamp.json").exists()


def test_an_answer_that_is_none_is_refused(tmp_path, authority):
    address, _ = authority
    with pytest.raises(InputError, match="none of a time-stamping"):
        write_stamp(HEAD, tmp_path / "stamp.json", address.replace("/tsr", "/other"))
