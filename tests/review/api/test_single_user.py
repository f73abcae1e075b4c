"""One user on their own computer: let in by an address that works once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from leukopy.review.settings import ReviewSettings
from leukopy.workflows.analyze import AnalyzeSettings, analyze


@pytest.fixture
def alone(tmp_path, colour_model, running):
    with running(ReviewSettings(folder=tmp_path / "station", model=str(colour_model.path))) as served:
        yield served


@pytest.fixture
def at_home(alone):
    """The browser of the one user."""
    browser = alone.browser()
    browser.http.get("/", params={"token": alone.app.state.station.token.value})
    browser.csrf = browser.get("/me").json()["csrf"]
    return browser


def test_the_address_lets_in_once_and_leaves_the_address_bar(alone):
    token = alone.app.state.station.token.value
    first = alone.browser()
    answer = first.http.get("/", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (first.get("/me").json()["single_user"], first.get("/me").json()["user"]["role"]) == (True, "administrator")
    second = alone.browser()
    answer = second.http.get("/", params={"token": token})
    assert answer.headers["location"] == "/login"
    assert second.get("/me").status_code == 401


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 43])
def test_a_wrong_token_lets_nobody_in_and_uses_nothing_up(alone, token):
    stranger = alone.browser()
    stranger.http.get("/", params={"token": token})
    assert stranger.get("/me").status_code == 401
    assert alone.app.state.station.token.redeem(alone.app.state.station.token.value)


def test_nobody_can_sign_in_as_the_one_user(alone, at_home):
    for password in ("", "local", "Local user"):
        assert alone.browser().sign_in("local", password).status_code == 401


def test_where_users_log_in_the_token_is_of_no_use(served):
    browser = served.browser()
    answer = browser.http.get("/", params={"token": served.app.state.station.token.value})
    assert answer.status_code == 303
    assert browser.get("/me").status_code == 401


@pytest.fixture
def result(colour_model, tmp_path) -> Path:
    """What `leukopy analyze` wrote of 8 pictures and a file that is none."""
    colour_model.draw_folder(tmp_path / "slide", 8)
    (tmp_path / "slide" / "notes.jpg").write_text("no image")
    analyze(AnalyzeSettings(input=tmp_path / "slide", model=str(colour_model.path)), tmp_path / "result")
    return tmp_path / "result"


def test_an_analysis_is_imported_with_its_classes_and_failures(at_home, result):
    case = at_home.new_case()
    answer = at_home.post(f"/cases/{case}/import", json={"folder": str(result)})
    assert (answer.json()["added"], [one["name"] for one in answer.json()["refused"]]) == (8, ["notes.jpg"])
    rows = pl.read_parquet(result / "cells.parquet")
    gallery = at_home.get(f"/cases/{case}/cells").json()
    assert {cell["name"]: cell["code"] for cell in gallery["cells"]} == dict(rows.select("cell_id", "fine").iter_rows())
    assert [one["reason"] for one in gallery["failures"]] == ["not_an_image"]
    # The same result again adds nothing.
    again = at_home.post(f"/cases/{case}/import", json={"folder": str(result)})
    assert again.json()["added"] == 0
    assert at_home.get(f"/cases/{case}").json()["cells"] == 8


def test_an_image_that_changed_or_went_since_the_analysis_is_refused(at_home, result, colour_model, tmp_path):
    names = sorted(path.name for path in (tmp_path / "slide").glob("*.png"))
    (tmp_path / "slide" / names[0]).unlink()
    colour_model.draw(tmp_path / "slide" / names[1], "PLT", width=80)
    case = at_home.new_case()
    refused = at_home.post(f"/cases/{case}/import", json={"folder": str(result)}).json()["refused"]
    assert [(one["name"], one["reason"]) for one in refused] == [
        (names[0], "not_found"), (names[1], "changed"), ("notes.jpg", "not_an_image"),
    ]  # fmt: skip
    assert at_home.get(f"/cases/{case}").json()["cells"] == 6


def test_a_folder_that_holds_no_analysis_is_refused_with_what_to_do(at_home, tmp_path):
    answer = at_home.post(f"/cases/{at_home.new_case()}/import", json={"folder": str(tmp_path)})
    assert answer.status_code == 422
    assert "run.json" in answer.json()["detail"]
