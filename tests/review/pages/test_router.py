"""Who is sent which page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.app import create_app
from leukopy.review.records import NewUser, Role
from leukopy.review.settings import ReviewSettings
from support.passwords import PASSWORD, quick_passwords

CASE = "0123456789abcdef0123456789abcdef"
PAGES = ("/", f"/cases/{CASE}", f"/cases/{CASE}/sign", "/quality", "/administration")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Of nobody; ``ada`` administers, ``ron`` reads."""
    app = create_app(ReviewSettings(folder=tmp_path, serve=True))
    store = app.state.store
    store.users.passwords = quick_passwords()
    ada = store.users.add(None, NewUser(name="ada", full_name="Ada <b>", role=Role.ADMINISTRATOR, password=PASSWORD))
    store.users.add(ada, NewUser(name="ron", full_name="Ron", role=Role.READER, password=PASSWORD))
    with TestClient(app, follow_redirects=False) as client:
        yield client


def sign_in(client: TestClient, name: str) -> None:
    assert client.post("/api/v1/session", json={"name": name, "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_sent_to_sign_in_and_back(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == ("/login" if path == "/" else f"/login?next={path}")


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_rendered_with_the_notice_and_nothing_of_a_case(client: TestClient, path: str) -> None:
    sign_in(client, "ada")
    answer = client.get(path, headers={"accept-language": "en"})
    assert answer.status_code == 200
    assert RESEARCH_USE_ONLY in answer.text
    assert "Ada &lt;b&gt;" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert client.get(path, headers={"accept-language": "fr"}).text.count('lang="fr"') >= 1


def test_a_reader_does_not_administer(client: TestClient) -> None:
    sign_in(client, "ron")
    assert client.get("/administration").headers["location"] == "/"
    page = client.get("/").text
    assert "/administration" not in page
    assert "/quality" not in page


def test_who_is_signed_in_needs_no_log_in(client: TestClient) -> None:
    assert client.get("/login").status_code == 200
    sign_in(client, "ron")
    assert client.get("/login").headers["location"] == "/"


def test_texts_are_given_to_anybody_in_two_languages_only(client: TestClient) -> None:
    assert client.get("/texts/fr.json").json()["leave"] == "Se déconnecter"
    assert client.get("/texts/de.json").status_code == 422
    assert client.get("/static/base.css").headers["content-type"].startswith("text/css")
