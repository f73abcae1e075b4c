"""Files and bodies made to harm: each is refused."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import httpx
import pytest

from leukopy.review.security.bodies import JSON_BYTES
from leukopy.review.settings import Limits
from support.coroutines import run_apart

SCRIPT = "<script>alert(1)</script>"
SQL = "'; DROP TABLE cases; --"


# Files


def test_a_zip_cannot_write_outside_the_station(fresh, pictures, zipped, tmp_path):
    reader = fresh.browser("ron")
    case = reader.new_case()
    ((_, data),) = pictures(1)
    absolute = str(tmp_path / "written.png")
    answer = reader.upload(case, ("slide.zip", zipped(("../../escaped.png", data), (absolute, data))))
    assert answer.json()["added"] == 0
    assert {(one["name"], one["reason"]) for one in answer.json()["refused"]} == {
        ("../../escaped.png", "path"),
        (absolute, "path"),
    }
    assert not list(tmp_path.rglob("*escaped*")) + list(tmp_path.rglob("*written*"))


def test_a_link_in_a_zip_is_not_followed(reader, pictures, zipped, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(pictures(1)[0][1])
    link = ZipInfo("c1.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    answer = reader.upload(reader.new_case(), ("slide.zip", zipped((link, str(secret).encode()))))
    assert (answer.json()["added"], answer.json()["refused"][0]["reason"]) == (0, "link")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(reader, monkeypatch):
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("c1.png", b"\0" * 50_000_000)
    assert len(stream.getvalue()) < 1_000_000
    monkeypatch.setattr(ZipFile, "open", None)
    answer = reader.upload(reader.new_case(), ("slide.zip", stream.getvalue()))
    assert [one["reason"] for one in answer.json()["refused"]] == ["zip_bomb"]


def test_a_decompression_bomb_is_refused_by_its_header(reader):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    answer = reader.upload(reader.new_case(), ("c1.png", bomb))
    assert [one["reason"] for one in answer.json()["refused"]] == ["too_large"]


@pytest.mark.parametrize(
    "data", [b"<svg onload='alert(1)'/>", b"<!doctype html>" + SCRIPT.encode()], ids=["svg", "html"]
)
@pytest.mark.parametrize("name", ["c1.png", "c1.svg"])
def test_a_page_that_poses_as_an_image_is_never_stored(fresh, name, data):
    reader = fresh.browser("ron")
    answer = reader.upload(reader.new_case(), (name, data))
    assert [one["reason"] for one in answer.json()["refused"]] == ["not_an_image"]
    assert not [path for path in fresh.store.images.folder.rglob("*") if path.is_file()]


def test_a_picture_with_a_page_behind_it_is_only_ever_a_picture(reader, pictures):
    """Valid to the decoder, and a page to whoever guesses: so nobody may guess."""
    case = reader.new_case()
    ((_, data),) = pictures(1)
    reader.upload(case, ("c1.html", data + SCRIPT.encode()))
    reader.analyse(case)
    answer = reader.get(f"/cases/{case}/cells/1/image")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_the_server_reads_no_folder_of_its_computer_for_others(reader, tmp_path):
    answer = reader.post(f"/cases/{reader.new_case()}/import", json={"folder": str(tmp_path)})
    assert answer.status_code == 403


# Bodies


def test_a_body_that_announces_too_much_is_refused_unread(reader):
    answer = reader.post("/cases/search", content=b"", headers={"Content-Length": str(JSON_BYTES + 1)})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


class Endless:
    """A body that announces no length and never ends; refuses to be read beyond ``most`` bytes."""

    def __init__(self, begin: bytes, most: int) -> None:
        self.begin = begin
        self.left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.begin
        while True:
            self.left -= 1000
            assert self.left > 0, "it is read on and on"
            yield b" " * 1000


def stream(browser, path: str, body: Endless, content_type: str) -> int:
    """Send a body piece by piece; returns the status."""

    async def send() -> int:
        transport = httpx.ASGITransport(browser.http.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", cookies=dict(browser.http.cookies)
        ) as client:
            headers = {"Content-Type": content_type, "X-CSRF-Token": browser.csrf or ""}
            return (await client.post(f"/api/v1{path}", content=body, headers=headers)).status_code

    return run_apart(send())


@pytest.mark.parametrize("path", ["/cases/search", "/session"])
def test_a_body_that_announces_nothing_is_counted_as_it_arrives(reader, path):
    assert stream(reader, path, Endless(b"{", JSON_BYTES + 10_000), "application/json") == 413


@pytest.mark.parametrize("limits", [Limits(upload_bytes=10_000)])
def test_an_upload_beyond_its_limit_is_refused_while_it_arrives(fresh):
    reader = fresh.browser("ron")
    case = reader.new_case()
    assert reader.upload(case, ("c1.png", bytes(20_000))).status_code == 413
    part = b"--x\r\nContent-Disposition: form-data; name=files; filename=c1.png\r\n\r\n"
    assert stream(reader, f"/cases/{case}/images", Endless(part, 20_000), "multipart/form-data; boundary=x") == 413


def test_an_upload_to_anothers_case_is_refused_before_it_is_read(served, reader):
    case = reader.new_case()

    body = Endless(b"--x\r\n", most=1)
    path = f"/cases/{case}/images"
    assert stream(served.browser("eve"), path, body, "multipart/form-data; boundary=x") == 404
    assert stream(served.browser(), path, body, "multipart/form-data; boundary=x") == 401


def test_deeply_nested_json_is_no_server_error(reader):
    answer = reader.post(
        "/cases/search", content=b'{"text":' + b"[" * 500_000, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
