"""The signed count as an HL7 FHIR R4 Bundle: one DiagnosticReport whose results are one Observation per class
and one for each thing that the reader says of the smear.

Codes and units are those of `documents.codes`. To a server, the bundle goes as a transaction (`fhir_transaction`): a
first result creates each resource unless one of its identifier exists (If-None-Exist), so that a repetition creates
nothing; a correction or withdrawal updates them by identifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

from leukopy.core.errors import MissingExtraError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents.codes import ABSOLUTE, CELLS, OWN, PER_100, PERCENT, loinc, title
from leukopy.review.documents.issue import Issue, issue
from leukopy.review.documents.outgoing import Outgoing, vanished, words
from leukopy.review.documents.rows import Pair, Row, percent, rows
from leukopy.review.documents.said import BY_READER, PRESENT, Said, said
from leukopy.review.records import CaseOrder, DeliveryKind, PatientView, Signature, SignedContent

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
CASE = "urn:x-leukopy:case"
"""System of identifiers that a resource of a case keeps over all revisions."""
MODEL = "urn:x-leukopy:model"
"""System of the digests of cell models."""
DELIVERY = "urn:x-leukopy:delivery"
"""System of message control ids."""
AUDIT = "urn:x-leukopy:audit"
"""System of the number and hash of the audit log's entry on the last signature."""

_TERMS = "http://terminology.hl7.org/CodeSystem"
Resource = dict[str, Any]


def fhir_bundle(
    content: SignedContent,
    *,
    signatures: Sequence[Signature] = (),
    laboratory: str = "",
    preliminary: bool = False,
    voided: str = "",
) -> str:
    """The count of a revision as a FHIR R4 Bundle of the type ``collection``, in JSON, validated.

    Ids depend on the case and the class only, so that an amended resource is known as the one it replaces.

    Args:
        content: the numbers.
        signatures: of the case; the readers are named as interpreters.
        laboratory: its name: the performer.
        preliminary: not signed yet. The status is ``preliminary``; then ``final``; ``amended`` after an amendment.
        voided: why the case is void, ``entered-in-error``; empty: it is not.

    Raises:
        MissingExtraError: fhir.resources is not installed.
    """
    document = issue(content, signatures=signatures, laboratory=laboratory, preliminary=preliminary, voided=voided)
    observations = list(_observations(document))
    resources = [_report(document, observations), *_subjects(document), *observations]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": OWN, "value": f"{content.case.id}/{content.case.revision}"},
        "timestamp": _instant(document),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }
    return _validated(bundle)


def fhir_transaction(outgoing: Outgoing, patients: str = "") -> str:
    """A result as a FHIR R4 Bundle of the type ``transaction``, in JSON, validated.

    A number that an amendment no longer gives becomes ``entered-in-error``; so does all of a void case. A patient whom
    the server knows is not changed.

    Args:
        outgoing: the result.
        patients: system (URI) of the patients' identifiers; empty: none is named.

    Raises:
        MissingExtraError: fhir.resources is not installed.
    """
    document = outgoing.issue
    observations = list(_observations(document))
    patient, *others = [*_subjects(document)] if document.content.case.patient else [{}, *_subjects(document)]
    if patient and patients:
        patient["identifier"][0]["system"] = patients
    results = [_report(document, observations), *observations, *_withdrawn(outgoing)]
    entries = [_unless_known(one) for one in (patient, *others) if one]
    entries += [_unless_known(one) if outgoing.kind is DeliveryKind.RESULT else _updated(one) for one in results]
    return _validated({
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"system": DELIVERY, "value": outgoing.id},
        "timestamp": outgoing.created.isoformat(timespec="seconds"),
        "entry": entries,
    })  # fmt: skip


def _validated(bundle: Resource) -> str:
    try:
        from fhir.resources.R4B.bundle import Bundle  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("A FHIR bundle", "app") from error
    text: str = Bundle.model_validate(bundle).model_dump_json(indent=2)
    return text


def _unless_known(resource: Resource) -> Resource:
    """Create a resource, unless there is one of its identifier."""
    kind = resource["resourceType"]
    return _entry(resource, {"method": "POST", "url": kind, "ifNoneExist": _search(resource)})


def _updated(resource: Resource) -> Resource:
    """Put a resource in place of that of its identifier."""
    return _entry(resource, {"method": "PUT", "url": f"{resource['resourceType']}?{_search(resource)}"})


def _entry(resource: Resource, request: Resource) -> Resource:
    content = {name: value for name, value in resource.items() if name != "id"}  # the server gives ids
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": content, "request": request}


def _search(resource: Resource) -> str:
    """A search for the first identifier of a resource."""
    first = resource["identifier"][0]
    parts = [first["system"], first["value"]] if "system" in first else [first["value"]]
    # FHIR's own escapes, of the signs that divide a search value; then those of an address.
    return "identifier=" + quote("|".join(re.sub(r"([\\$,|])", r"\\\1", part) for part in parts), safe=":/|")


def _withdrawn(outgoing: Outgoing) -> Iterator[Resource]:
    """Numbers of earlier revisions that are not given any more."""
    document = outgoing.issue
    for (code, quantity), (_, line) in vanished(outgoing).items():
        found = _observation(document, code, quantity, words(line))
        yield found | {"status": "entered-in-error"} | _value(None, PERCENT, "Not given any more")


def _status(document: Issue) -> str:
    return "entered-in-error" if document.state == "void" else document.state


def _id(document: Issue, *name: str) -> str:
    return str(uuid5(UUID(document.content.case.id), "/".join(name)))


def _link(document: Issue, *name: str) -> Resource:
    return {"reference": f"urn:uuid:{_id(document, *name)}"}


def _instant(document: Issue) -> str:
    return document.at.isoformat(timespec="seconds")


def _report(document: Issue, observations: Sequence[Resource]) -> Resource:
    content = document.content
    paragraphs = [RESEARCH_USE_ONLY, *content.differential.notes]
    if content.case.revision > 1:
        paragraphs.append(
            f"Revision {content.case.revision}, amended: {content.case.amendment_reason or 'no reason given'}."
        )
    if document.voided:
        paragraphs.append(f"Void: {document.voided}")
    if content.case.comment:
        paragraphs.append(content.case.comment)
    if content.smear and content.smear.findings.comment:
        paragraphs.append(f"Smear: {content.smear.findings.comment}")
    html = "".join(f"<p>{escape(line)}</p>" for line in paragraphs)
    return {
        "resourceType": "DiagnosticReport",
        "id": _id(document, "report"),
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{html}</div>'},
        "identifier": [
            {"system": CASE, "value": content.case.id},
            {"system": OWN, "value": f"{content.case.id}/{content.case.revision}"},
            *([{"system": AUDIT, "value": ":".join(map(str, document.entry))}] if document.entry else []),
        ],
        "status": _status(document),
        "category": [
            {"coding": [{"system": f"{_TERMS}/v2-0074", "code": code, "display": name}]}
            for code, name in (("HM", "Hematology"), ("LAB", "Laboratory"))
        ],
        "code": _code("PANEL", "panel", "Differential count of the blood"),
        **({"basedOn": [_ordered(content.case.order)]} if content.case.order else {}),
        **_about(document),
        "specimen": [_link(document, "specimen")],
        **({"performer": [{"display": document.laboratory}]} if document.laboratory else {}),
        **(
            {"resultsInterpreter": [{"display": one.user} for one in document.signatures]}
            if document.signatures
            else {}
        ),
        "result": [{"reference": f"urn:uuid:{one['id']}", "display": one["code"]["text"]} for one in observations],
        "conclusion": "\n".join(paragraphs),
    }


def _ordered(order: CaseOrder) -> Resource:
    return {
        "type": "ServiceRequest",
        "identifier": {"value": order.number},
        "display": "Order of the laboratory system",
    }


def _about(document: Issue) -> Resource:
    """Subject and times, the same for report and observations."""
    case = document.content.case
    found: Resource = {"issued": _instant(document)}
    if case.patient:
        found["subject"] = _link(document, "patient")
    if case.specimen_date:
        found["effectiveDateTime"] = case.specimen_date.isoformat()
    return found


def _subjects(document: Issue) -> Iterator[Resource]:
    """Patient, specimen and device."""
    case = document.content.case
    subject = {"subject": _link(document, "patient")} if case.patient else {}
    if case.patient:
        gender = {"gender": case.sex} if case.sex else {}
        identifier = [{"value": case.patient}]
        yield {"resourceType": "Patient", "id": _id(document, "patient"), "identifier": identifier, **gender}
    yield {
        "resourceType": "Specimen",
        "id": _id(document, "specimen"),
        "identifier": [{"system": CASE, "value": f"{case.id}/specimen"}, {"value": case.slide}],
        "type": {
            "coding": [{"system": SNOMED, "code": "119297000", "display": "Blood specimen"}],
            "text": "Blood smear",
        },
        **subject,
        **({"collection": {"collectedDateTime": case.specimen_date.isoformat()}} if case.specimen_date else {}),
    }
    yield {
        "resourceType": "Device",
        "id": _id(document, "device"),
        "identifier": [{"system": MODEL, "value": document.content.model_sha256 or "none"}],
        "deviceName": [{"name": f"leukopy, cell model {document.content.model or 'none'}", "type": "model-name"}],
        "version": [
            {"type": {"text": "leukopy"}, "value": document.content.leukopy},
            *(
                [{"type": {"text": "cell model, sha256"}, "value": document.content.model_sha256}]
                if document.content.model_sha256
                else []
            ),
        ],
        "note": [{"text": RESEARCH_USE_ONLY}],
    }


def _observations(document: Issue) -> Iterator[Resource]:
    for row in rows(document.content.differential):
        if row.kind != "total":
            yield _share(document, row)
        if row.absolute is not None:
            yield _absolute(document, row)
    if document.content.patient is not None:
        yield _lymphocytosis(document, document.content.patient)
    for one in said(document.content):
        yield _said(document, one)


def _share(document: Issue, row: Row) -> Resource:
    """Cells of one class: % of the leukocytes, per 100 of them, or only counted."""
    unit = {"differential": PERCENT, "per_100_leukocytes": PER_100}.get(row.kind, CELLS)
    counted = row.kind in ("count", "not_counted")
    parts = [] if row.count is None else [_part("count", "cells counted", Decimal(row.count), CELLS)]
    if row.low is not None and row.high is not None:
        parts.append(_part("low95", "lower 95 % limit (Clopper-Pearson)", row.low, unit))
        parts.append(_part("high95", "upper 95 % limit (Clopper-Pearson)", row.high, unit))
    if row.total_low is not None and row.total_high is not None:
        parts.append(_part("total-low95", "lower 95 % limit, sampling and classification", row.total_low, unit))
        parts.append(_part("total-high95", "upper 95 % limit, sampling and classification", row.total_high, unit))
    return {
        **_observation(document, row.code, "count" if counted else "percent", title(row)),
        **_value(
            Decimal(row.count or 0) if counted else row.value,
            unit,
            "Not divided into this class" if row.undivided else "No leukocyte was counted",
        ),
        **_interpretation(row.reference, row.flag, unit, document.content.differential.reference_name),
        **({"component": parts} if parts else {}),
    }


def _absolute(document: Issue, row: Row) -> Resource:
    """Of the leukocytes that were entered; for a class, its share of them."""
    derived = [] if row.kind == "total" else [_link(document, row.code, "percent"), _link(document, "WBC", "absolute")]
    entered = document.content.case.leukocytes
    corrected = row.kind == "total" and entered is not None and row.absolute != _rounded(entered)
    note = (
        f"Entered by the reader: {entered:g}; corrected for erythroblasts." if corrected
        else "Entered by the reader." if row.kind == "total" else "Share of the leukocytes of the blood."
    )  # fmt: skip
    return {
        **_observation(document, row.code, "absolute", title(row)),
        **_value(row.absolute, ABSOLUTE),
        **_interpretation(row.absolute_reference, row.absolute_flag, ABSOLUTE, "usual"),
        **({"derivedFrom": derived} if derived else {}),
        "note": [{"text": f"{note} {RESEARCH_USE_ONLY}"}],
    }


def _lymphocytosis(document: Issue, patient: PatientView) -> Resource:
    low, high = percent(patient.low), percent(patient.high)
    paragraphs = [
        f"{patient.decision.capitalize()} at the operating point {patient.operating_point!r}: tumoral from "
        f"{percent(patient.threshold)} % on. {patient.lymphocytes_read} lymphocytes; model {patient.model}.",
        *patient.flags,
        RESEARCH_USE_ONLY,
    ]
    parts = [] if low is None or high is None else [
        _part("low95", "lower 95 % limit over cells", low, PERCENT),
        _part("high95", "upper 95 % limit over cells", high, PERCENT),
    ]  # fmt: skip
    return {
        **_observation(document, "TUMORAL", "percent", "Probability of a tumoral lymphocytosis"),
        **_value(percent(patient.probability), PERCENT),
        "interpretation": [{"text": patient.decision}],
        "note": [{"text": line} for line in paragraphs],
        **({"component": parts} if parts else {}),
    }


def _said(document: Issue, one: Said) -> Resource:
    """What the reader says, without the model."""
    found = _observation(document, one.code, one.quantity, one.name) | {"method": {"text": BY_READER}}
    del found["device"]
    if isinstance(one.value, Decimal):
        return found | _value(one.value, ABSOLUTE)
    known = {"coding": [{"system": SNOMED, "code": PRESENT[0], "display": PRESENT[1]}]}
    return found | {"valueCodeableConcept": {**(known if one.value == PRESENT[1] else {}), "text": one.value}}


def _observation(document: Issue, code: str, quantity: str, name: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": _id(document, code, quantity),
        "identifier": [{"system": CASE, "value": f"{document.content.case.id}/{code}.{quantity}"}],
        "status": _status(document),
        "category": [{"coding": [{"system": f"{_TERMS}/observation-category", "code": "laboratory"}]}],
        "code": _code(code, quantity, name),
        **_about(document),
        "specimen": _link(document, "specimen"),
        "device": _link(document, "device"),
        "method": {"text": "Image-based differential: cells named by a model, each shown to a reader for correction"},
        "note": [{"text": RESEARCH_USE_ONLY}],
    }


def _code(code: str, quantity: str, name: str) -> Resource:
    own = {"system": OWN, "code": f"{code}.{quantity}", "display": name}
    known = loinc().get((code, quantity))
    standard = [{"system": LOINC, "code": known[0], "display": known[1]}] if known else []
    return {"coding": [*standard, own], "text": name}


def _quantity(value: Decimal, unit: tuple[str, str]) -> Resource:
    return {"value": value, "unit": unit[0], "system": UCUM, "code": unit[1]}


def _rounded(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


def _value(value: Decimal | None, unit: tuple[str, str], absent_because: str = "") -> Resource:
    if value is None:
        absent = {"system": f"{_TERMS}/data-absent-reason", "code": "not-applicable"}
        return {"dataAbsentReason": {"coding": [absent], "text": absent_because or "Not known"}}
    return {"valueQuantity": _quantity(value, unit)}


def _part(code: str, name: str, value: Decimal, unit: tuple[str, str]) -> Resource:
    return {"code": {"coding": [{"system": OWN, "code": code}], "text": name}, "valueQuantity": _quantity(value, unit)}


def _interpretation(reference: Pair | None, flag: str | None, unit: tuple[str, str], name: str) -> Resource:
    """Usual range and L, N or H, where there is a range."""
    if reference is None:
        return {}
    low, high = (_quantity(limit, unit) for limit in reference)
    found: Resource = {"referenceRange": [{"low": low, "high": high, "text": name}]}
    if flag:
        found["interpretation"] = [{"coding": [{"system": f"{_TERMS}/v3-ObservationInterpretation", "code": flag}]}]
    return found
