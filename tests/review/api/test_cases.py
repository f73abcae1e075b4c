"""A case from its first image to its amended report, as the pages use the API."""

from __future__ import annotations

import csv
import json
from collections import Counter
from io import BytesIO, StringIO
from zipfile import ZipFile

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.store.audit_log import verify
from support.passwords import PASSWORD

CODES = ("SNE", "LY", "MO", "EO", "BNE", "BA")


def test_images_and_zips_become_cells(served, reader, pictures, zipped):
    case = reader.new_case()
    loose, packed = pictures(6)[:2], pictures(6)[2:]
    answer = reader.upload(case, *loose, ("slide.zip", zipped(*packed, ("notes.png", b"no image"))))
    assert answer.json()["added"] == 6
    assert [(one["name"], one["reason"]) for one in answer.json()["refused"]] == [("notes.png", "not_an_image")]
    job = reader.analyse(case)
    assert (job["state"], job["done"], job["total"]) == ("finished", 6, 6)
    gallery = reader.get(f"/cases/{case}/cells").json()
    assert {cell["name"]: cell["code"] for cell in gallery["cells"]} == {
        f"c{number}.png": code for number, code in enumerate(CODES, start=1)
    }
    assert gallery["differential"]["leukocytes"] == 6
    assert [one["name"] for one in gallery["failures"]] == ["notes.png"]
    assert gallery["case"]["model"].startswith("colours ")


def test_progress_is_told_as_events(reader, analysed):
    with reader.http.stream("GET", f"/api/v1/cases/{analysed}/analysis/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event, data = next(answer.iter_text()).strip().split("\n")
    assert event == "event: job"
    assert json.loads(data.removeprefix("data: "))["state"] == "finished"


def test_a_case_without_analysis_says_what_to_do(reader):
    case = reader.new_case()
    assert reader.get(f"/cases/{case}/analysis").json() is None
    assert reader.request("DELETE", f"/cases/{case}/analysis").status_code == 404
    refused = reader.post(f"/cases/{case}/analysis")
    assert refused.status_code == 409
    assert "add images" in refused.json()["detail"]


def test_an_analysis_is_cancelled(fresh, pictures):
    """The worker is stopped first, so that the job still waits."""
    reader = fresh.browser("ron")
    fresh.app.state.station.worker.stop()
    case = reader.new_case()
    reader.upload(case, *pictures(3))
    assert reader.post(f"/cases/{case}/analysis").json()["state"] == "queued"
    assert reader.delete(f"/cases/{case}/analysis").json()["state"] == "cancelled"


def test_a_correction_counts_at_once_and_is_undone_and_redone(reader, analysed):
    cells = reader.get(f"/cases/{analysed}/cells").json()["cells"]
    lymphocyte = next(cell for cell in cells if cell["code"] == "LY")
    changed = reader.correct(analysed, (lymphocyte["id"], "MO")).json()
    assert [(cell["code"], cell["model_code"]) for cell in changed["cells"]] == [("MO", "LY")]
    assert counts(changed) == {"SNE": 2, "LY": 1, "MO": 3, "EO": 2, "BNE": 2, "BA": 2}
    assert (changed["can_undo"], changed["can_redo"]) == (True, False)
    undone = reader.post(f"/cases/{analysed}/undo").json()
    assert counts(undone)["LY"] == 2
    redone = reader.post(f"/cases/{analysed}/redo").json()
    assert counts(redone)["MO"] == 3
    assert reader.get(f"/cases/{analysed}/differential").json() == redone["differential"]


def counts(answer: dict) -> dict[str, int]:
    lines = {line["code"]: line["count"] for line in answer["differential"]["lines"]}
    return {code: lines[code] for code in CODES}


def test_who_was_slower_is_told_what_is_there_now(reader, analysed):
    cell = reader.get(f"/cases/{analysed}/cells").json()["cells"][0]
    body = {"changes": [{"cell": cell["id"], "version": cell["version"], "code": "UNIDENTIFIED"}]}
    assert reader.post(f"/cases/{analysed}/corrections", json=body).status_code == 200
    conflict = reader.post(f"/cases/{analysed}/corrections", json=body)
    assert conflict.status_code == 409
    assert conflict.headers["content-type"] == "application/problem+json"
    (current,) = conflict.json()["current"]
    assert (current["id"], current["code"], current["version"]) == (cell["id"], "UNIDENTIFIED", cell["version"] + 1)


def test_pictures_keep_their_kind_and_small_ones_are_jpeg(reader, analysed, pictures):
    data = dict(pictures(1))["c1.png"]
    cell = next(cell for cell in reader.get(f"/cases/{analysed}/cells").json()["cells"] if cell["name"] == "c1.png")
    where = f"/cases/{analysed}/cells/{cell['id']}/image"
    stored = reader.get(where)
    assert (stored.content, stored.headers["content-type"]) == (data, "image/png")
    small = reader.get(where, params={"side": 32})
    assert small.headers["content-type"] == "image/jpeg"
    assert small.content.startswith(b"\xff\xd8\xff")
    assert all(answer.headers["x-content-type-options"] == "nosniff" for answer in (stored, small))


def test_a_stored_picture_that_is_gone_is_told(served, reader, pictures):
    case = reader.new_case()
    reader.upload(case, ("only.png", pictures(1)[0][1] + b"another file"))
    reader.analyse(case)
    ada = served.store.users.check_password("ada", "correct horse battery")
    served.store.cells.path(ada, case, 1).unlink()
    assert reader.get(f"/cases/{case}/cells/1/image").status_code == 404
    assert reader.get(f"/cases/{case}/cells/1/image", params={"side": 300}).status_code == 404


def test_signed_seconded_and_amended(served, reader, analysed):
    rita, saul = served.browser("rita"), served.browser("saul")

    def version() -> int:
        return int(reader.get(f"/cases/{analysed}").json()["version"])

    assert reader.post(f"/cases/{analysed}/reviewed", json={"version": version()}).status_code == 200
    assert reader.post(f"/cases/{analysed}/sign", json={"version": version(), "password": PASSWORD}).status_code == 403
    signed = rita.post(f"/cases/{analysed}/sign", json={"version": version(), "password": PASSWORD})
    assert (signed.status_code, signed.json()["status"]) == (200, "signed")
    assert reader.correct(analysed, (1, "MO")).status_code == 409
    assert saul.post(f"/cases/{analysed}/second", json={"version": version(), "password": PASSWORD}).status_code == 200
    amended = rita.post(f"/cases/{analysed}/amend", json={"version": version(), "reason": "one cell was overlooked"})
    assert (amended.json()["status"], amended.json()["revision"]) == ("amending", 2)
    assert reader.correct(analysed, (1, "MO")).status_code == 200
    assert (
        rita.post(f"/cases/{analysed}/sign", json={"version": version(), "password": PASSWORD}).json()["status"]
        == "amended"
    )
    first = reader.get(f"/cases/{analysed}/signed", params={"revision": 1}).json()
    second = reader.get(f"/cases/{analysed}/signed").json()
    code = {name: {cell["id"]: cell["code"] for cell in of["cells"]}[1] for name, of in (("1", first), ("2", second))}
    assert code == {"1": "SNE", "2": "MO"}
    actions = [entry["action"] for entry in reader.get(f"/cases/{analysed}/history").json()]
    assert actions[0] == "case.opened"
    with served.store.database.read() as db:
        assert verify(db).problem is None


def test_reports_say_preliminary_until_they_are_signed(served, reader, analysed):
    report = reader.get(f"/cases/{analysed}/report.html")
    assert RESEARCH_USE_ONLY in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    rows = list(csv.DictReader(StringIO(reader.get(f"/cases/{analysed}/report.csv").text)))
    assert {row["status"] for row in rows} == {"preliminary"}
    assert Counter({row["code"]: int(row["count"]) for row in rows if row["kind"] == "differential"})["LY"] == 2
    bundle = reader.get(f"/cases/{analysed}/report.fhir.json")
    assert bundle.headers["content-type"] == "application/fhir+json"
    assert bundle.json()["resourceType"] == "Bundle"
    assert "Muster" not in bundle.headers["content-disposition"]
    version = reader.get(f"/cases/{analysed}").json()["version"]
    version = reader.post(f"/cases/{analysed}/reviewed", json={"version": version}).json()["version"]
    assert (
        served.browser("rita")
        .post(f"/cases/{analysed}/sign", json={"version": version, "password": PASSWORD})
        .status_code
        == 200
    )
    rows = list(csv.DictReader(StringIO(reader.get(f"/cases/{analysed}/report.csv").text)))
    assert {row["status"] for row in rows} == {"final"}


def test_report_as_pdf(reader, analysed):
    answer = reader.get(f"/cases/{analysed}/report.pdf")
    assert answer.content.startswith(b"%PDF-")


def test_the_patients_result_says_what_is_missing(reader, analysed):
    answer = reader.get(f"/cases/{analysed}/patient")
    assert answer.status_code == 409
    assert "age" in answer.json()["detail"]


def test_agreement_of_one_case_and_of_all(fresh, reader, analysed):
    reader.correct(analysed, (1, "MO"))
    found = reader.get(f"/cases/{analysed}/agreement").json()
    assert (found["cells"], round(found["raw"] * 12)) == (12, 11)
    assert reader.get("/agreement").status_code == 403
    assert fresh.browser("rita").get("/agreement").json()["cases"] == 0


def test_labels_of_signed_cases_leave_for_training(served, reader, analysed):
    reader.correct(analysed, (1, "MO"))
    version = reader.get(f"/cases/{analysed}").json()["version"]
    version = reader.post(f"/cases/{analysed}/reviewed", json={"version": version}).json()["version"]
    rita = served.browser("rita")
    assert rita.post(f"/cases/{analysed}/sign", json={"version": version, "password": PASSWORD}).status_code == 200
    assert reader.get("/export/training").status_code == 403
    with ZipFile(BytesIO(rita.get("/export/training").content)) as archive:
        rows = list(csv.DictReader(StringIO(archive.read("manifest.csv").decode())))
        pictures = [name for name in archive.namelist() if name.startswith("images/")]
    assert {row["path"] for row in rows} == set(pictures)
    assert "Muster" not in str(rows)


def test_reference_cells_have_pictures(reader):
    found = reader.get("/references/LY").json()
    assert {one["code"] for one in found} == {"LY"}
    picture = reader.get(found[0]["image"].removeprefix("/api/v1"))
    assert picture.headers["content-type"] == "image/jpeg"
    assert reader.get("/references/NOTHING").status_code == 404
    assert reader.get("/references/LY/999999").status_code == 404


def test_heat_and_similar_cells_of_a_model_that_has_none(reader, analysed):
    """The colour model carries neither class activations nor an index of its training cells."""
    assert reader.get(f"/cases/{analysed}/cells/1/heat").status_code == 404
    assert reader.get(f"/cases/{analysed}/cells/1/similar").json() == []


def test_a_class_of_the_laboratorys_own_can_be_given(served, reader, analysed):
    own = {"code": "HAIRY", "name": "hairy cell", "french": "tricholeucocyte", "colour": "#336699", "key": "",
           "place": "differential"}  # fmt: skip
    assert reader.post("/classes", json=own).status_code == 403
    assert served.browser("ada").post("/classes", json=own).status_code == 201
    assert reader.correct(analysed, (1, "HAIRY")).json()["cells"][0]["code"] == "HAIRY"


def test_the_openapi_is_served_and_describes_problems(reader):
    described = reader.get("/openapi.json").json()
    assert described["info"]["description"] == RESEARCH_USE_ONLY
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert all("application/problem+json" in operation["responses"]["default"]["content"] for operation in operations)
