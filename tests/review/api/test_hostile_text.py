"""What people write stays text, and what is known of patients is told to nobody."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from markupsafe import escape

from leukopy.review.security.bodies import JSON_BYTES
from leukopy.review.store.cases import CaseStore

SCRIPT = "<script>alert(1)</script>"
SQL = "'; DROP TABLE cases; --"


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
    assert str(escape(text)) in report
    table = reader.get(f"/cases/{case}/report.csv").text
    assert ",=HYPERLINK" not in table
    assert served.store.audit.verify().intact


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

    monkeypatch.setattr(CaseStore, "search", broken)
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
    assert parameters <= {
        "case_id", "other_id", "reading_id", "user_id", "cell", "field", "code", "number", "revision", "page", "side",
        "count", "shown", "cropped", "kind",
    }  # fmt: skip


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


def test_what_every_page_loads_is_kept_by_the_browser_until_it_changes(served):
    first = served.browser().http.get("/static/base.css")
    assert first.headers["cache-control"] == "no-cache"
    again = served.browser().http.get("/static/base.css", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
