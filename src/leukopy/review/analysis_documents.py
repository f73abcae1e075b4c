"""The documents of laboratory systems for a result of ``leukopy analyze``: preliminary, since nobody has signed it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from leukopy.core.files import read_json, write_text
from leukopy.core.runs import RUN_FILE
from leukopy.inference.rows import UNIDENTIFIED
from leukopy.review.agreement import Reading, agree
from leukopy.review.analysis_result import read_run, read_tables
from leukopy.review.case_differential import count_case
from leukopy.review.documents import Outgoing, fhir_bundle, hl7_message
from leukopy.review.documents.issue import issue
from leukopy.review.records import Case, CellRow, ClassChoice, DeliveryKind, SignedContent, Status
from leukopy.review.records.not_counted import UNIDENTIFIED as UNIDENTIFIED_CODE
from leukopy.review.settings import ReviewSettings
from leukopy.review.signed_content import signed_content
from leukopy.slides.record import SlideRecord

HL7_FILE, FHIR_FILE = "result.hl7", "result.fhir.json"


def write_documents(folder: Path, title: str, *, hl7: bool, fhir: bool) -> tuple[Path, ...]:
    """Write ``result.hl7`` and ``result.fhir.json`` beside the results of a slide; nothing without a differential.

    Args:
        folder: of the results of one slide.
        title: name of the slide.
        hl7: write an HL7 v2 message ORU^R01 (OBR-25 ``P``).
        fhir: write a FHIR R4 bundle (status ``preliminary``).

    Returns:
        The files written.

    Raises:
        InputError: ``folder`` holds no finished analysis.
        MissingExtraError: hl7apy or fhir.resources is not installed.
        OutputError: the disk is full, or not permitted.
    """
    run: dict[str, Any] = read_json(folder / RUN_FILE)
    if SlideRecord.load(run["slide"]).refused:
        return ()
    content = _content(folder, title, run)
    written = []
    if hl7:
        outgoing = Outgoing(content.case.id[:20], DeliveryKind.RESULT, content.case.created, issue(content))
        written.append((folder / HL7_FILE, hl7_message(outgoing)))
    if fhir:
        written.append((folder / FHIR_FILE, fhir_bundle(content, preliminary=True)))
    for path, text in written:
        write_text(path, text)
    return tuple(path for path, _ in written)


def _content(folder: Path, title: str, run: dict[str, Any]) -> SignedContent:
    """The slide as a case of the station, as if it had been imported."""
    model, (rows, failures) = read_run(folder).model, read_tables(folder)
    cells = [_cell(number, row) for number, row in enumerate(rows.iter_rows(named=True), start=1)]
    made = datetime.fromisoformat(run["provenance"]["created"])
    known = hashlib.sha256(f"{run['inputs']['digest']} {model.sha256}".encode()).hexdigest()[:32]
    case = Case(
        id=known, slide=title, status=Status.DRAFT, version=1, revision=1, owner="leukopy analyze", created=made,
        changed=made, cells=len(cells), failures=len(failures), corrected=0, model=f"{model.name} {model.sha256[:12]}",
    )  # fmt: skip
    own = tuple(_choice(one) for one in run["model"].get("own_classes", ()))
    settings = ReviewSettings(folder=folder, reference=run["settings"].get("reference", {}))
    count = count_case(cells, own, case, settings)
    return signed_content(case, cells, count, agree(Reading.of(case.id, cells), own), None, model)


def _cell(number: int, row: dict[str, Any]) -> CellRow:
    flags = tuple(filter(None, row["flags"].split(";")))
    code = UNIDENTIFIED_CODE if row["fine"] is not None and UNIDENTIFIED in flags else row["fine"]
    return CellRow(
        id=number, name=row["cell_id"], code=code, model_code=code, confidence=row["fine_confidence"], flags=flags,
        version=1,
    )  # fmt: skip


def _choice(own: dict[str, Any]) -> ClassChoice:
    return ClassChoice(
        code=own["code"], name=own["name"], french=own["french"], colour=own["colour"], key="", place=own["place"],
        own=True,
    )  # fmt: skip
