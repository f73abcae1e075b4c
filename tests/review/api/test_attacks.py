"""What strangers and hostile files try: each is refused, and what they say stays text."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import struct
import time
import zlib
from collections.abc import AsyncIterator
from html import escape
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from leukopy.review.security.bodies import JSON_BYTES
from leukopy.review.settings import Limits
from leukopy.review.store import Store

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


def test_a_zip_bomb_is_refused_quickly(reader, zipped):
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("c1.png", b"\0" * 50_000_000)
    assert len(stream.getvalue()) < 1_000_000
    begun = time.monotonic()
    answer = reader.upload(reader.new_case(), ("slide.zip", stream.getvalue()))
    assert [one["reason"] for one in answer.json()["refused"]] == ["zip_bomb"]
    assert time.monotonic() - begun < 2


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

    return asyncio.run(send())


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


# Requests from elsewhere


CHANGING = {"json": {"slide": "S1"}}


def test_a_change_without_the_token_is_refused(reader):
    reader.csrf = None
    assert reader.post("/cases", **CHANGING).status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", "é", "a" * 64])
def test_a_change_with_a_wrong_token_is_refused(reader, token):
    reader.csrf = token.encode()
    assert reader.post("/cases", **CHANGING).status_code == 403


def test_a_change_with_anothers_token_is_refused(served, reader):
    reader.csrf = served.browser("eve").csrf
    assert reader.post("/cases", **CHANGING).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_change_from_another_site_is_refused_even_with_the_token(served, reader, headers):
    assert reader.post("/cases", headers=headers, **CHANGING).status_code == 403
    # Nor can another site sign its victim in as somebody else.
    login = {"name": "eve", "password": "correct horse battery"}
    assert served.browser().post("/session", headers=headers, json=login).status_code == 403


def test_a_change_from_the_stations_own_pages_is_taken(reader):
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert reader.post("/cases", headers=own, **CHANGING).status_code == 201


def test_a_form_cannot_pose_as_json(reader):
    """A page elsewhere can send plain text without being asked; it is not taken for JSON."""
    answer = reader.post("/cases", content=json.dumps({"slide": "S1"}), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(served):
    cookie = served.browser().sign_in("ron").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie


# Sessions


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "../../etc/passwd", SQL], ids=repr)
def test_a_forged_session_is_none(served, token):
    browser = served.browser()
    browser.http.cookies.set("leukopy", token)
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize("column", ["expires", "seen"])
def test_a_session_that_has_expired_or_was_idle_is_none(served, reader, column):
    assert reader.get("/me").status_code == 200
    earlier = sa.text(f"UPDATE sessions SET {column} = '2020-01-01 00:00:00.000000'")
    with served.store.database.write() as db:
        db.execute(earlier)
    assert reader.get("/me").status_code == 401


def test_a_session_that_was_ended_stays_so(served, reader):
    token = reader.http.cookies["leukopy"]
    assert reader.delete("/session").status_code == 204
    reader.http.cookies.set("leukopy", token)
    assert reader.get("/me").status_code == 401


def test_signing_in_gives_a_new_session_and_ends_the_old(served, reader):
    """A session that somebody planted in the browser is not the one that becomes theirs."""
    planted = reader.http.cookies["leukopy"]
    reader.sign_in("eve")
    assert reader.http.cookies["leukopy"] != planted
    stranger = served.browser()
    stranger.http.cookies.set("leukopy", planted)
    assert stranger.get("/me").status_code == 401


def test_a_user_who_is_locked_out_is_out_at_once(fresh):
    reader, ada = fresh.browser("ron"), fresh.browser("ada")
    ron = reader.get("/me").json()["user"]["id"]
    assert ada.patch(f"/users/{ron}", json={"active": False}).status_code == 200
    assert reader.get("/me").status_code == 401


def test_passwords_cannot_be_tried_on_and_on(fresh):
    thief = fresh.browser()
    answers = [thief.sign_in("ron", f"guess number {number}") for number in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    # Nor does the right one help now, so that it cannot be told from the others.
    assert thief.sign_in("ron").status_code == 429


def test_an_unknown_name_is_answered_as_a_wrong_password(fresh):
    thief = fresh.browser()
    unknown, wrong = thief.sign_in("nobody"), thief.sign_in("ron", "wrong password")
    assert unknown.json() == wrong.json()


# Others' cases


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path, below ``/api/v1``, of every route."""
    paths = app.openapi()["paths"]
    return sorted((method.upper(), path.removeprefix("/api/v1")) for path, of in paths.items() for method in of)


BODIES = {
    "share": {"name": "eve"},
    "corrections": {"changes": [{"cell": 1, "version": 1, "code": "MO"}]},
    "amend": {"version": 1, "reason": "to look at it"},
    "import": {"folder": "/"},
    "{cell}": {"version": 1, "comment": "x"},
}
"""Of the routes that take more than a version."""


def test_anothers_case_does_not_exist_for_any_route(served, reader, analysed):
    """Generated from the routes, so that a new one is tried too."""
    stranger = served.browser("eve")
    routes = [route for route in operations(served.app) if "{case_id}" in route[1]]
    assert len(routes) > 20
    statuses = {}
    for method, path in routes:
        body = BODIES.get(path.rpartition("/")[2], {"version": 1})
        sent = {"files": [("files", ("c.png", b"x"))]} if path.endswith("/images") else {"json": body}
        given = sent if method in ("POST", "PATCH") else {}
        theirs, nobodys = (
            stranger.request(method, path.format(case_id=case, cell=1), **given) for case in (analysed, "0" * 32)
        )
        assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
        statuses[method, path] = theirs.status_code
    # What no reader may at all is refused before the case is looked for.
    for_others = {("POST", f"/cases/{{case_id}}/{step}") for step in ("import", "second", "amend")}
    assert {route for route, status in statuses.items() if status != 404} == for_others
    assert {statuses[route] for route in for_others} == {403}


def test_anothers_case_is_in_no_list(served, reader, analysed):
    stranger = served.browser("eve")
    for text in ("", "Muster", "S1"):
        assert stranger.post("/cases/search", json={"text": text}).json() == {"cases": [], "total": 0}


def test_every_route_asks_who_is_there(served):
    """But for signing in and the sign of life."""
    nobody = served.browser()
    names = {"case_id": "0" * 32, "user_id": "0" * 32, "cell": 1, "code": "LY", "number": 0}
    answers = {(method, path): nobody.request(method, path.format(**names)) for method, path in operations(served.app)}
    open_routes = {route for route, answer in answers.items() if answer.status_code != 401}
    assert open_routes == {("POST", "/session"), ("GET", "/health")}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"name": "mallory", "full_name": "M", "role": "administrator", "password": "0123456789"}),
        ("GET", "/audit", None),
        ("GET", "/audit/verify", None),
        ("GET", "/export/training", None),
        ("GET", "/agreement", None),
    ],
)
def test_a_reader_may_not_what_others_may(reader, method, path, body):
    assert reader.request(method, path, json=body).status_code == 403


def test_a_reader_cannot_make_themselves_more(reader):
    own = reader.get("/me").json()["user"]["id"]
    assert reader.patch(f"/users/{own}", json={"role": "administrator"}).status_code == 403


# What people write


@pytest.mark.parametrize("text", [SCRIPT, SQL, '" onmouseover="alert(1)', "{{ 7 * 7 }}", "=HYPERLINK(0)"], ids=repr)
def test_what_is_written_is_stored_as_text_and_given_back_as_json(served, reader, pictures, text):
    case = reader.new_case(slide=text, patient=text, comment=text)
    reader.upload(case, *pictures(6))
    reader.analyse(case)
    assert reader.patch(f"/cases/{case}/cells/1", json={"version": 1, "comment": text}).json()["comment"] == text
    found = reader.post("/cases/search", json={"text": text})
    assert found.headers["content-type"] == "application/json"
    assert [(one["slide"], one["patient"], one["comment"]) for one in found.json()["cases"]] == [(text, text, text)]
    assert reader.get(f"/cases/{case}/cells/1").json()["comment"] == text
    report = reader.get(f"/cases/{case}/report.html").text
    assert SCRIPT not in report
    assert '" onmouseover="' not in report
    assert escape(text, quote=False).replace('"', "&#34;").replace("&#x27;", "&#39;").replace("'", "&#39;") in report
    assert "49" not in report or "{{ 7 * 7 }}" in report
    table = reader.get(f"/cases/{case}/report.csv").text
    assert ",=HYPERLINK" not in table
    assert served.store.verify_audit().intact


def test_a_name_of_a_file_is_text_too(reader, pictures):
    ((_, data),) = pictures(1)
    case = reader.new_case()
    reader.upload(case, (f"{SCRIPT}.png", data))
    reader.analyse(case)
    (cell,) = reader.get(f"/cases/{case}/cells").json()["cells"]
    assert cell["name"] == f"{SCRIPT}.png"
    assert SCRIPT not in reader.get(f"/cases/{case}/report.html").text


@pytest.mark.parametrize("text", ["a\0b", "\x1b[2J", "a\nb"], ids=repr)
def test_control_characters_are_refused(reader, text):
    assert reader.post("/cases", json={"slide": text}).status_code == 422


# What is told to nobody


def test_the_log_names_no_patient(served, reader, pictures, caplog, monkeypatch):
    """Not for what is refused, not for what fails in a way that nobody foresaw."""
    caplog.set_level(logging.DEBUG)
    case = reader.new_case(patient="Maria Muster", comment="seen before")
    reader.upload(case, ("Muster-1.png", pictures(1)[0][1]), ("Muster-2.png", b"no image"))
    reader.analyse(case)
    reader.post("/cases", json={"slide": "Muster" * 100})
    reader.patch(f"/cases/{case}/cells/1", json={"version": 7, "comment": "Muster is ill"})

    message = "cannot store Maria Muster"

    def broken(*_: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(Store, "search", broken)
    answer = reader.post("/cases/search", json={"text": "Maria Muster"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    told = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert any("RuntimeError" in line for line in told)
    assert not [line for line in told if "Muster" in line or "seen before" in line or " is ill" in line]
    assert "Muster" not in answer.text


def test_the_database_tells_no_values_when_it_fails(served, caplog):
    """SQLAlchemy's errors name the values of a statement unless it is told not to."""
    with pytest.raises(sa.exc.DBAPIError) as caught, served.store.database.read() as db:
        db.execute(sa.text("SELECT * FROM nothing WHERE name = :name"), {"name": "Maria Muster"})
    assert "Muster" not in str(caught.value)


def test_no_route_has_a_place_for_patients_in_its_address(served):
    """Addresses are kept by browsers and proxies: numbers, random ids and codes of classes only."""
    parameters = {
        parameter["name"]
        for path in served.app.openapi()["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] in ("path", "query")
    }
    assert parameters <= {"case_id", "cell", "user_id", "code", "number", "revision", "page", "side", "count"}


def test_every_answer_carries_the_headers(served, reader):
    answers = [
        reader.get("/me"),
        served.browser().get("/me"),
        reader.get("/nothing"),
        served.browser().http.get("/login"),
        reader.post("/cases/search", content=b"", headers={"Content-Length": str(JSON_BYTES + 1)}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 200, 413]
    for answer in answers:
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
