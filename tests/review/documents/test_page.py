"""The report for people: what it says of its standing, in both languages, and what it must never do."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from leukopy.core.errors import SettingsError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.reports.overlay import jpeg
from leukopy.review.documents import policy, signed_html, signed_pdf, with_thumbnails
from leukopy.review.records import CellRow, InfluentialCell, PatientView, Signature, SignedContent
from leukopy.synthesis import draw_cell

SIGNATURE_OF_ONE = "1f" * 32


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def texts(language: str) -> dict[str, str]:
    path = files("leukopy.review.documents") / "texts" / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    english, french = texts("en"), texts("fr")
    assert english.keys() == french.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", french[key])), key


def test_every_text_is_used() -> None:
    folder = files("leukopy.review.documents")
    code = (folder / "templates" / "report.html.j2").read_text(encoding="utf-8")
    code += (folder / "page.py").read_text(encoding="utf-8")
    made = (
        "state.",
        "flag.",
        "all.",
        "ranges.",
        "point.",
        "signed.",
        "sex.",
        "patient.tumoral",
        "patient.reactive",
        "patient.towards.",
        "pictures.",
        "shape.",
    )
    unused = [key for key in texts("en") if f'"{key}"' not in code and not key.startswith((*made, "L", "H", "N"))]
    assert unused == []


def test_a_signed_report_names_its_readers_in_order(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    text = text_of(signed_html(content, signatures=signatures, laboratory="CHU de Lyon"))
    assert "Final" in text
    assert "Preliminary" not in text
    assert text.index("First reader Dr Amélie Durand 2026-11-21 10:05 UTC") < text.index("Second reader Pr Hugo Meyer")
    assert SIGNATURE_OF_ONE in text
    assert "CHU de Lyon" in text
    assert "Patient Martin, Jeanne" in text
    assert "S-2026-0142" in text
    assert RESEARCH_USE_ONLY in text


def test_without_a_signature_it_is_preliminary(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    for page in (signed_html(content), signed_html(content, signatures=signatures, preliminary=True)):
        text = text_of(page)
        assert "Preliminary, not signed" in text
        assert "Not signed: these numbers may change" in text
        assert "Dr Amélie Durand" not in text


def test_an_amended_report_says_what_it_replaces_and_why(
    build_content: Callable[..., SignedContent], signatures: tuple[Signature, ...]
) -> None:
    content = build_content(revision=2, amendment_reason="Two cells counted twice")
    text = text_of(signed_html(content, signatures=signatures))
    assert "Revision 2 replaces revision 1. Reason: Two cells counted twice" in text
    assert "Amended" in text
    assert "2f" * 32 in text
    assert SIGNATURE_OF_ONE not in text  # of the first revision


def test_the_lymphocytosis_result_with_its_operating_point(content: SignedContent) -> None:
    text = text_of(signed_html(content))
    assert "87.3 % Probability of a tumoral cause" in text
    assert "operating point “balanced”: tumoral from 55.0 % on" in text
    assert "sensitivity 91.0 %, specificity 82.0 %" in text
    assert "From 27 lymphocytes, 71 years and 12.3 × 10⁹/L" in text
    assert "multiply the odds of a tumoral cause by 3.32" in text  # exp(1.2)
    assert "3 of the 20 members decide otherwise" in text


def test_the_cells_that_weighed_most_are_named(
    build_content: Callable[..., SignedContent], patient: PatientView
) -> None:
    weights = {4: 0.1, 7: -0.4, 9: 0.3, 11: -0.2, 12: 0.2, 13: 0.05}
    cells = tuple(InfluentialCell(cell=cell, influence=influence) for cell, influence in weights.items())
    text = text_of(signed_html(build_content(judged=patient.model_copy(update={"cells": cells}))))
    assert "towards tumoral: c009.png, c012.png, c004.png." in text
    assert "towards reactive: c007.png, c011.png." in text


def test_it_does_not_claim_that_somebody_checked(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    assert "no reader has signed them" in text_of(signed_html(content))
    assert "the readers named above checked them" in text_of(signed_html(content, signatures=signatures))


def test_french(content: SignedContent, signatures: tuple[Signature, ...]) -> None:
    page = signed_html(content, signatures=signatures, language="fr")
    text = text_of(page)
    assert '<html lang="fr">' in page
    assert "Formule leucocytaire" in text
    assert "87,3 % Probabilité d’une cause tumorale" in text
    assert "Proche du seuil" in text
    assert "Tricholeucocyte" in text  # the laboratory's own class
    assert "100 leucocytes comptés ; l’objectif est de 100" in text.replace("\u202f", " ")
    assert "Premier lecteur Dr Amélie Durand 21/11/2026 10:05 UTC" in text
    assert "Research use only" in text
    with pytest.raises(SettingsError, match="'en' or 'fr'"):
        signed_html(content, language="de")  # type: ignore[arg-type]


def test_probabilities_are_never_certain(build_content: Callable[..., SignedContent], patient: PatientView) -> None:
    sure = patient.model_copy(update={"probability": 0.99999, "low": 0.00001})
    text = text_of(signed_html(build_content(judged=sure)))
    assert "&gt; 99.9 %" in text
    assert "&lt; 0.1 to" in text


def test_what_people_wrote_stays_text(build_content: Callable[..., SignedContent]) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    page = signed_html(
        build_content(slide=evil[:200], patient=evil, comment=evil, amendment_reason=evil, revision=2), laboratory=evil
    )
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 6
    assert "{{" not in page


def test_its_policy_allows_its_own_style_and_nothing_else(content: SignedContent) -> None:
    page = signed_html(content)
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        policy()
        == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"\s(style|on\w+|src|href)=", page)


def test_a_report_shows_alarms_then_remarks_then_a_few_of_each_class(
    build_content: Callable[..., SignedContent], tmp_path: Path
) -> None:
    plain = build_content()
    cells = [
        CellRow(id=number, name=f"c{number}.png", code=code, model_code=code, confidence=0.9, version=1,
                comment="vacuoles" if number == 2 else "")
        for number, code in enumerate(["SNE"] * 7 + ["BLAST"], start=1)
    ]  # fmt: skip
    asked = []

    def thumbnail(digest: str) -> bytes | None:
        asked.append(digest)
        return None if digest == "4" else jpeg(draw_cell("SNE", seed=1).image, 40)

    content = plain.model_copy(update={"cells": tuple(cells), "pictures": {cell.id: str(cell.id) for cell in cells}})
    pictured = with_thumbnails(content, thumbnail)
    assert asked == ["8", "2", "1", "3", "4", "5"]
    page = signed_html(pictured)
    assert page.count('<img src="data:image/jpeg;base64,') == 5
    assert "picture missing" in page
    assert page.index("Blasts</figcaption>") < page.index("Cells with a remark</figcaption>")
    assert pictured.model_dump_json() == content.model_dump_json()  # what is signed does not change
    assert signed_pdf(page).count(b"/Subtype /Image") == 1  # five times the same picture


def test_a_pdf_says_so_on_every_page_and_counts_them(
    tmp_path: Path, build_content: Callable[..., SignedContent], caplog: pytest.LogCaptureFixture
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    content = build_content(comment="\n".join(f"Line {number}" for number in range(150)))
    with caplog.at_level(logging.WARNING):
        (tmp_path / "report.pdf").write_bytes(signed_pdf(signed_html(content, laboratory="CHU de Lyon")))
    ran = subprocess.run(["pdftotext", "report.pdf", "-"], cwd=tmp_path, capture_output=True, check=True)
    pages = ran.stdout.decode().rstrip("\f").split("\f")
    assert len(pages) >= 3
    for number, page in enumerate(pages, start=1):
        assert RESEARCH_USE_ONLY in page
        assert f"Page {number} of {len(pages)}" in page
        assert "Patient Martin, Jeanne · Slide S-2026-0142" in page
        assert "Preliminary, not signed" in page
    assert "Martin" not in caplog.text


@pytest.mark.parametrize("where", ["file", "http", "data"])
def test_a_pdf_is_made_of_the_page_alone(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "style.css").write_text("body { font-size: 40cm }")
    address = {
        "file": (tmp_path / "style.css").as_uri(), "http": "http://127.0.0.1:9/style.css",
        "data": "data:text/css,body{font-size:40cm}",
    }[where]  # fmt: skip
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    monkeypatch.chdir(tmp_path)
    plain = "<html><head></head><body>x</body></html>"
    asking = plain.replace("<head>", f'<head><link rel="stylesheet" href="{address}">')
    assert signed_pdf(asking).count(b"/Type /Page\n") == signed_pdf(plain).count(b"/Type /Page\n")
    assert len(signed_pdf(asking)) == len(signed_pdf(plain))
