"""Void and erased through the API: who may, what reports say, and what is left."""

from __future__ import annotations

import json

import pytest

from support.passwords import PASSWORD


@pytest.fixture
def signed(fresh, pictures):
    """A case of rita's that she has signed, of a patient."""
    rita = fresh.browser("rita")
    case = rita.new_case(patient="Maria Muster", slide="M1")
    rita.upload(case, *pictures(3))
    rita.analyse(case)
    cells = rita.get(f"/cases/{case}/cells").json()["cells"]
    seen = [{"cell": cell["id"], "version": cell["version"]} for cell in cells]
    rita.post(f"/cases/{case}/confirmations", json={"changes": seen})
    version = rita.get(f"/cases/{case}").json()["version"]
    version = rita.post(f"/cases/{case}/reviewed", json={"version": version}).json()["version"]
    answer = rita.post(f"/cases/{case}/sign", json={"version": version, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return case


def test_reports_of_a_void_case_say_so(fresh, signed):
    rita = fresh.browser("rita")
    version = rita.get(f"/cases/{signed}").json()["version"]
    assert (
        fresh.browser("ron").post(f"/cases/{signed}/void", json={"version": version, "reason": "x" * 5}).status_code
        == 403
    )
    void = rita.post(f"/cases/{signed}/void", json={"version": version, "reason": "blood of <another>"})
    assert void.json()["status"] == "void"
    page = rita.get(f"/cases/{signed}/report.html").text
    assert "Do not use this report" in page
    assert "blood of &lt;another&gt;" in page
    bundle = json.loads(rita.get(f"/cases/{signed}/report.fhir.json").text)
    statuses = {one["resource"].get("status") for one in bundle["entry"]}
    assert "entered-in-error" in statuses
    assert "final" not in statuses
    assert "void" in rita.get(f"/cases/{signed}/report.csv").text
    assert rita.get(f"/cases/{signed}/report.pdf").content.startswith(b"%PDF")


def test_a_signed_report_prints_the_head_of_the_log(fresh, signed):
    rita = fresh.browser("rita")
    case = rita.get(f"/cases/{signed}").json()
    (signature,) = case["signatures"]
    entry = next(one for one in rita.get(f"/cases/{signed}/history").json() if one["action"] == "case.signed")
    assert (signature["entry"], signature["entry_hash"]) == (entry["number"], entry["hash"])
    page, table = rita.get(f"/cases/{signed}/report.html").text, rita.get(f"/cases/{signed}/report.csv").text
    assert entry["hash"] in page
    assert f"entry {entry['number']}" in page
    assert entry["hash"] in table
    assert f"{entry['number']}:{entry['hash']}" in rita.get(f"/cases/{signed}/report.fhir.json").text
    content = rita.get(f"/cases/{signed}/signed").json()
    assert len(content["pictures"]) == 3


def test_only_administrators_erase_and_the_log_verifies(fresh, signed):
    ada, rita = fresh.browser("ada"), fresh.browser("rita")
    body = {"patient": "Maria Muster"}
    for path in ("/patients/cases", "/patients/erase"):
        assert rita.post(path, json=body).status_code == 403
    assert rita.get("/patients/due").status_code == 403
    assert [case["id"] for case in ada.post("/patients/cases", json=body).json()] == [signed]
    assert ada.post("/patients/erase", json=body).json() == {"cases": 1, "images": 3}
    assert rita.get(f"/cases/{signed}").status_code == 404
    assert rita.get(f"/cases/{signed}/report.html").status_code == 404
    assert ada.get("/audit/verify").json()["intact"]
    assert ada.post("/patients/erase", json=body).status_code == 404


def test_a_void_image_is_named_in_the_count(fresh, pictures):
    ron = fresh.browser("ron")
    case = ron.new_case()
    ron.upload(case, *pictures(3))
    ron.analyse(case)
    cell = ron.get(f"/cases/{case}/cells").json()["cells"][0]
    path = f"/cases/{case}/cells/{cell['id']}/void"
    row = ron.post(path, json={"version": cell["version"], "reason": "a stain"})
    assert (row.status_code, row.json()["not_counted"]) == (200, "void")
    view = ron.get(f"/cases/{case}/differential").json()
    assert view["leukocytes"] == 2
    assert [line["code"] for line in view["not_counted"]] == ["VOID"]
    assert any("made void" in note for note in view["notes"])
    assert ron.post(path, json={"version": row.json()["version"], "reason": ""}).json()["not_counted"] is None


def test_one_refuses_what_cannot_be(fresh):
    ron = fresh.browser("ron")
    wrong = ron.post("/cases", json={"slide": "S1", "leukocytes": 7.4, "lymphocytes": 9.3})
    assert wrong.status_code == 422
    assert "more than all leukocytes" in wrong.json()["detail"]
    case = ron.new_case(leukocytes=7.4)
    answer = ron.patch(f"/cases/{case}", json={"version": 1, "lymphocytes": 9.3})
    assert answer.status_code == 422
    assert ron.get(f"/cases/{case}").json()["lymphocytes"] is None
