"""What strangers try, and users who may not: each is refused."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from leukopy.review.settings import ReviewSettings
from support.passwords import PASSWORD

SCRIPT = "<script>alert(1)</script>"
SQL = "'; DROP TABLE cases; --"


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
    browser.http.cookies.set(served.cookie, token)
    assert browser.get("/me").status_code == 401


@pytest.mark.parametrize("column", ["expires", "seen"])
def test_a_session_that_has_expired_or_was_idle_is_none(served, reader, column):
    assert reader.get("/me").status_code == 200
    earlier = sa.text(f"UPDATE sessions SET {column} = '2020-01-01 00:00:00.000000'")
    with served.store.database.write() as db:
        db.execute(earlier)
    assert reader.get("/me").status_code == 401


def test_a_session_that_was_ended_stays_so(served, reader):
    token = reader.http.cookies[served.cookie]
    assert reader.delete("/session").status_code == 204
    reader.http.cookies.set(served.cookie, token)
    assert reader.get("/me").status_code == 401


def test_signing_in_gives_a_new_session_and_ends_the_old(served, reader):
    """A session that somebody planted in the browser is not the one that becomes theirs."""
    planted = reader.http.cookies[served.cookie]
    reader.sign_in("eve")
    assert reader.http.cookies[served.cookie] != planted
    stranger = served.browser()
    stranger.http.cookies.set(served.cookie, planted)
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


def test_a_thief_does_not_lock_the_user_out_elsewhere(fresh):
    thief = fresh.browser(client="198.51.100.7")
    for number in range(6):
        thief.sign_in("ron", f"guess number {number}")
    assert thief.sign_in("ron").status_code == 429
    assert fresh.browser(client="198.51.100.8").sign_in("ron").status_code == 200


# The own password


def test_the_own_password_is_changed_with_the_present_one_only(fresh):
    ron, other = fresh.browser("ron"), fresh.browser("ron")
    new = "another long password"
    assert ron.post("/me/password", json={"present": "a wrong password", "new": new}).status_code == 403
    assert ron.post("/me/password", json={"present": PASSWORD, "new": "short"}).status_code == 422
    own = ron.get("/me").json()["user"]["id"]
    assert ron.patch(f"/users/{own}", json={"password": new}).status_code == 403
    answer = ron.post("/me/password", json={"present": PASSWORD, "new": new})
    assert answer.status_code == 200
    ron.csrf = answer.json()["csrf"]
    assert ron.post("/cases", json={"slide": "S1"}).status_code == 201
    assert other.get("/me").status_code == 401
    assert fresh.browser().sign_in("ron").status_code == 401
    assert fresh.browser().sign_in("ron", new).status_code == 200
    assert fresh.store.audit.verify().intact


def test_an_administrator_sets_the_passwords_of_others_only(fresh):
    ada = fresh.browser("ada")
    own = ada.get("/me").json()["user"]["id"]
    assert ada.patch(f"/users/{own}", json={"password": "another long password"}).status_code == 409
    ron = next(user["id"] for user in ada.get("/users").json() if user["name"] == "ron")
    assert ada.patch(f"/users/{ron}", json={"password": "another long password"}).status_code == 200


def test_a_signature_asks_for_the_password_once_more(fresh, pictures):
    rita = fresh.browser("rita")
    case = rita.new_case()
    rita.upload(case, *pictures(2))
    rita.analyse(case)
    version = rita.get(f"/cases/{case}").json()["version"]
    version = rita.post(f"/cases/{case}/reviewed", json={"version": version}).json()["version"]
    assert rita.post(f"/cases/{case}/sign", json={"version": version}).status_code == 403
    wrong = {"version": version, "password": "a wrong password"}
    assert rita.post(f"/cases/{case}/sign", json=wrong).status_code == 403
    assert rita.get(f"/cases/{case}").json()["status"] == "reviewed"
    assert rita.post(f"/cases/{case}/sign", json=wrong | {"password": PASSWORD}).status_code == 200


def test_two_stations_of_one_host_do_not_log_each_other_out(fresh, tmp_path, colour_model, running):
    """Browsers send a cookie to every port of a host."""
    with running(ReviewSettings(folder=tmp_path / "second", model=str(colour_model.path))) as second:
        assert fresh.cookie != second.cookie


def test_a_whole_laboratory_signs_in_at_once(fresh):
    """From one address, as behind a proxy: who knows the password is not kept out by the others."""
    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(lambda name: fresh.browser().sign_in(name), ["ron", "eve", "rita", "saul"] * 3)
    assert {answer.status_code for answer in answers} == {200}


def test_an_unknown_name_is_answered_as_a_wrong_password(fresh):
    thief = fresh.browser()
    unknown, wrong = thief.sign_in("nobody"), thief.sign_in("ron", "wrong password")
    assert unknown.json() == wrong.json()


def test_with_https_the_cookie_travels_encrypted_only(tmp_path, colour_model, running):
    with running(ReviewSettings(folder=tmp_path / "station", https=True)) as served:
        browser = served.browser()
        answer = browser.http.get("/", params={"token": served.app.state.station.token.value})
    cookie = answer.headers["set-cookie"]
    assert re.match(r"__Host-leukopy-[0-9a-f]{8}=", cookie)
    assert "Secure" in cookie
    assert "max-age" in answer.headers["strict-transport-security"]


def test_pictures_do_not_outlive_the_session_in_the_browser(reader, analysed):
    picture = reader.get(f"/cases/{analysed}/cells/1/image")
    assert picture.headers["vary"] == "Cookie"
    assert picture.headers["cache-control"].startswith("private")
    assert reader.delete("/session").headers["clear-site-data"] == '"cache"'


# Others' cases


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path, below ``/api/v1``, of every route."""
    paths = app.openapi()["paths"]
    return sorted((method.upper(), path.removeprefix("/api/v1")) for path, of in paths.items() for method in of)


BODIES = {
    "share": {"name": "eve"},
    "corrections": {"changes": [{"cell": 1, "version": 1, "code": "MO"}]},
    "confirmations": {"changes": [{"cell": 1, "version": 1}]},
    "void": {"version": 1, "reason": "a stain"},
    "amend": {"version": 1, "reason": "to look at it"},
    "import": {"folder": "/"},
    "smear": {"version": 1, "findings": {}},
    "deliveries": {"route": "hl7"},
    "cells": {"version": 1, "box": [0, 0, 20, 20]},
    "merge": {"other": "0" * 32, "slide": "mine"},
    "owner": {"version": 1, "to": "0" * 32},
    "plan": {"version": 1, "priority": "urgent"},
    "readings": {"reader": "0" * 32},
    "tally": {"key": "0" * 32, "steps": ["LY"]},
    "{cell}": {"version": 1, "comment": "x"},
}
"""Of the routes that take more than a version."""
STEPS_OF_REVIEWERS = ("import", "amend", "void", "deliveries", "readings")


def test_anothers_case_does_not_exist_for_any_route(served, reader, analysed):
    """Generated from the routes, so that a new one is tried too."""
    stranger = served.browser("eve")
    routes = [route for route in operations(served.app) if "{case_id}" in route[1]]
    assert len(routes) > 20
    statuses = {}
    for method, path in routes:
        body = BODIES.get(path.rpartition("/")[2], {"version": 1})
        sent = {"files": [("files", ("c.png", b"x"))]} if path.endswith("/images") else {"json": body}
        given = sent if method in ("POST", "PATCH", "PUT") else {}
        theirs, nobodys = (
            stranger.request(method, path.format(case_id=case, other_id="1" * 32, cell=1, field=1), **given)
            for case in (analysed, "0" * 32)
        )
        assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
        statuses[method, path] = theirs.status_code
    # What no reader may at all is refused before the case is looked for.
    for_others = {("POST", f"/cases/{{case_id}}/{step}") for step in STEPS_OF_REVIEWERS}
    assert {route for route, status in statuses.items() if status != 404} == for_others
    assert {statuses[route] for route in for_others} == {403}


def test_anothers_case_is_in_no_list(served, reader, analysed):
    stranger = served.browser("eve")
    for text in ("", "Muster", "S1"):
        found = stranger.post("/cases/search", json={"text": text}).json()
        assert (found["cases"], found["total"], set(found["views"].values())) == ([], 0, {0})


def test_every_route_asks_who_is_there(served):
    """But for signing in and the sign of life."""
    nobody = served.browser()
    ids = dict.fromkeys(("case_id", "other_id", "user_id", "reading_id"), "0" * 32)
    names = {**ids, "cell": 1, "field": 1, "code": "LY", "number": 0}
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
