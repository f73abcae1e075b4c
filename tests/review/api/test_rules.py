"""Rules, templates and findings through the API; reports state the findings in their language."""

from __future__ import annotations

from support.passwords import PASSWORD

RULE = {"code": "ANY_BLAST", "measure": "BLASTS", "unit": "cells", "comparison": "at_least", "limit": 1,
        "demand": "second_reader"}  # fmt: skip


def test_a_rule_stops_the_signature_of_the_reviewing_user_and_says_why(fresh):
    ada, rita, saul = (fresh.browser(name) for name in ("ada", "rita", "saul"))
    assert rita.post("/rules", json=RULE).status_code == 403
    assert ada.post("/rules", json=RULE).status_code == 200
    assert next(one for one in rita.get("/rules").json() if one["code"] == "ANY_BLAST")["active"]
    case = rita.new_case()
    steps = {"key": "0" * 32, "steps": ["BLAST", *["LY"] * 20]}
    version = rita.post(f"/cases/{case}/tally", json=steps).json()["case"]["version"]
    version = rita.post(f"/cases/{case}/reviewed", json={"version": version}).json()["version"]
    assert [one["met"] for one in rita.get(f"/cases/{case}/demands").json()] == [False]
    assert [one["met"] for one in saul.get(f"/cases/{case}/demands").json()] == [True]
    step = {"version": version, "password": PASSWORD}
    refused = rita.post(f"/cases/{case}/sign", json=step)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:leukopy:problem:not-allowed-now")
    assert "another user" in refused.json()["detail"]
    assert saul.post(f"/cases/{case}/sign", json=step).json()["status"] == "signed"


def test_findings_are_in_every_report_in_its_language(fresh):
    rita = fresh.browser("rita")
    case = rita.new_case()
    found = rita.post(f"/cases/{case}/tally", json={"key": "1" * 32, "steps": ["LY"] * 20}).json()["case"]
    codes = {"version": found["version"], "findings": ["SCHISTOCYTES"]}
    assert rita.patch(f"/cases/{case}", json=codes).json()["findings"] == ["SCHISTOCYTES"]
    english = rita.get(f"/cases/{case}/report.html", headers={"Accept-Language": "en"}).text
    french = rita.get(f"/cases/{case}/report.html", headers={"Accept-Language": "fr"}).text
    assert "Schistocytes" in english
    assert "Schizocytes" in french
    assert "SCHISTOCYTES" in rita.get(f"/cases/{case}/report.csv").text


def test_a_phrase_or_rule_that_is_wrong_is_refused(fresh):
    ada = fresh.browser("ada")
    for wrong in ({"limit": -1}, {"measure": "x"}, {"demand": "nothing"}, {"unit": "ml"}, {"code": "a b"}):
        assert ada.post("/rules", json=RULE | wrong).status_code == 422
    phrase = {"code": "OURS", "kind": "comment", "english": " ", "french": "x"}
    assert ada.post("/phrases", json=phrase).status_code == 422
