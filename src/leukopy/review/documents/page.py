"""The signed count as one HTML file for people, and as PDF, in English or French."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from leukopy.core.errors import MissingExtraError, SettingsError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.case_notes import notes
from leukopy.review.documents.issue import issue
from leukopy.review.documents.pictures import shown_cells
from leukopy.review.documents.rows import Row, percent, plain, rows
from leukopy.review.records import Agreement, DifferentialLine, DifferentialView, PatientView, Signature, SignedContent
from leukopy.taxonomy import find

Language = Literal["en", "fr"]

_PICTURE = "data:image/jpeg;base64,"
"""How the address of a picture of the page itself begins."""

OWN_COLOUR = "#8a8a8a"
"""Of the bar of a laboratory's own class, and of a cell that is none of the taxonomy."""

WEIGHTY_SHOWN = 3
"""Cells named in the report that weighed most in the patient's result, towards each side."""

PAIRS_SHOWN = 5
"""Most frequent disagreements of model and reader in the report."""


def signed_html(
    content: SignedContent,
    *,
    signatures: Sequence[Signature] = (),
    laboratory: str = "",
    preliminary: bool = False,
    voided: str = "",
    language: Language = "en",
) -> str:
    """The report of a revision as one HTML file, which holds its styles and runs no script.

    Args:
        content: the numbers.
        signatures: of the case.
        laboratory: its name.
        preliminary: not signed yet: the report says so on every page.
        voided: why the case is void: the report says so on every page; empty: it is not.
        language: of the report.
    """
    document = issue(content, signatures=signatures, laboratory=laboratory, preliminary=preliminary, voided=voided)
    texts = _texts(language)
    listed = tuple(rows(content.differential))
    return (
        _environment(language)
        .get_template("report.html.j2")
        .render(
            document=document,
            content=content,
            case=content.case,
            language=language,
            say=texts.__getitem__,
            known=lambda kind, word: texts.get(f"{kind}.{word}", word),
            style=_style(),
            policy=policy(),
            notice=RESEARCH_USE_ONLY,
            total=next((row for row in listed if row.kind == "total"), None),
            lines=[row for row in listed if row.kind == "differential"],
            beside=[row for row in listed if row.kind in ("per_100_leukocytes", "count", "not_counted")],
            notes=_notes(content, language),
            names=_names(content, language),
            name=lambda row: _name(row, texts, language),
            colour=_colour,
            scale=_scale(content.differential),
            percent=percent,
            plain=plain,
            patient_flags=_patient_flags(content.patient, texts, language),
            effect=_effect(content.patient, texts, language),
            weighty=_weighty(content),
            groups=shown_cells(content) if content.thumbnails else (),
            pictures={cell: base64.b64encode(jpeg).decode() for cell, jpeg in content.thumbnails.items()},
            remarks=[cell for cell in content.cells if cell.comment],
            pairs=content.agreement.confusion[:PAIRS_SHOWN],
            changed=Counter(cell.changed_by is not None and cell.code != cell.model_code for cell in content.cells)[
                True
            ],
        )
    )


def _notes(content: SignedContent, language: Language) -> Sequence[str]:
    total = content.differential.total
    absolute = total.absolute if total else None
    return notes(content.case, content.cells, content.differential.leukocytes, language, absolute)


def signed_pdf(html: str) -> bytes:
    """A report of `signed_html` as PDF, for printing and keeping; nothing outside the page is fetched for it.

    Raises:
        MissingExtraError: WeasyPrint is not installed.
    """
    try:
        from weasyprint import HTML  # type: ignore[import-untyped]  # noqa: PLC0415
        from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("A report as PDF", "app") from error

    class OwnPictures(URLFetcher):  # type: ignore[misc]
        """Reads the pictures that the page itself holds."""

        def fetch(self, url: str, headers: dict[str, str] | None = None) -> object:
            """Raises ValueError: any other address."""
            if not url.startswith(_PICTURE):
                raise ValueError("a report loads nothing from outside")
            return super().fetch(url, headers)

    pdf: bytes = HTML(string=html, url_fetcher=OwnPictures(allowed_protocols=("data",))).write_pdf()
    return pdf


def warm_up() -> None:
    """Load what makes PDFs, so that the first report does not wait for it; nothing where WeasyPrint is missing."""
    with suppress(MissingExtraError):
        signed_pdf(
            f"<style>{_style()}</style><main><h1>leukopy</h1><table><tr><th>1<td><strong>2</strong></table></main>"
        )


def policy() -> str:
    """The content security policy of a report: its own style and pictures alone; for the header it is sent with."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _style() -> str:
    return (files("leukopy.review.documents") / "templates" / "report.css").read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("leukopy.review.documents"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number(language), chance=_chance(language), moment=_moment(language), day=_day(language)
    )
    return environment


@lru_cache(maxsize=4)
def _texts(language: str) -> Mapping[str, str]:
    if language not in ("en", "fr"):
        raise SettingsError(f"language {language!r}: reports are written in 'en' or 'fr'.")
    path = files("leukopy.review.documents") / "texts" / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _number(language: Language) -> Callable[[Decimal | int | None], str]:
    """Digits as people of the language write them; a dash where there is no number."""

    def written(value: Decimal | int | None) -> str:
        if value is None:
            return "–"
        return str(value).replace(".", ",") if language == "fr" else str(value)

    return written


def _chance(language: Language) -> Callable[[float], str]:
    """A probability in per cent, never the certainty of 0 or 100."""

    def written(probability: float) -> str:
        share = percent(probability)
        number = _number(language)
        if share in (0, 100):
            return f"> {number(Decimal('99.9'))}" if share else f"< {number(Decimal('0.1'))}"
        return number(share)

    return written


def _moment(language: Language) -> Callable[[datetime], str]:
    """Day, minute and time zone."""
    pattern = "%d/%m/%Y %H:%M %Z" if language == "fr" else "%Y-%m-%d %H:%M %Z"
    return lambda at: at.strftime(pattern).strip()


def _day(language: Language) -> Callable[[date], str]:
    return lambda day: day.strftime("%d/%m/%Y" if language == "fr" else "%Y-%m-%d")


def _names(content: SignedContent, language: Language) -> dict[str, str]:
    """Name of each class in the content, the laboratory's own included."""
    view = content.differential
    named: tuple[DifferentialLine | Agreement, ...] = (
        *view.lines, *view.beside, *view.outside, *content.agreement.classes,
    )  # fmt: skip
    return {one.code: one.french if language == "fr" else one.name for one in named}


def _name(row: Row, texts: Mapping[str, str], language: Language) -> str:
    name = row.french if language == "fr" else row.name
    return texts[f"all.{row.code}"] if row.sums else name[:1].upper() + name[1:]


def _colour(code: str) -> str:
    try:
        return find(code).colour
    except SettingsError:  # the laboratory's own
        return OWN_COLOUR


def _scale(view: DifferentialView) -> float:
    """The share at the right end of the bars, a multiple of 10 %."""
    ends = [end for line in view.lines for end in (line.high or 0, (line.reference or (0, 0))[1])]
    return min(100.0, 10 * (max(ends, default=0) // 10 + 1))


def _patient_flags(patient: PatientView | None, texts: Mapping[str, str], language: Language) -> Sequence[str]:
    """The model's own sentences; in French those of the same meaning, without their figures."""
    if patient is None:
        return ()
    return patient.flags if language == "en" else [texts[f"flag.{word}"] for word in patient.flag_words]


def _weighty(content: SignedContent) -> list[tuple[str, list[str]]]:
    """Tumoral or reactive, and the file names of the cells that weighed most towards it."""
    cells = content.patient.cells if content.patient else ()
    names = {cell.id: cell.name for cell in content.cells}
    order = sorted(cells, key=lambda one: -abs(one.influence))
    sides = {
        "tumoral": [names[one.cell] for one in order if one.influence > 0],
        "reactive": [names[one.cell] for one in order if one.influence < 0],
    }
    return [(side, named[:WEIGHTY_SHOWN]) for side, named in sides.items() if named]


def _effect(patient: PatientView | None, texts: Mapping[str, str], language: Language) -> str:
    """What age and count do to the odds, in words."""
    if patient is None:
        return ""
    share = patient.clinical_share
    if abs(share) < 0.05:
        return texts["patient.nothing"]
    factor = plain(float(f"{math.exp(min(abs(share), 20)):.3g}"))
    return texts["patient.multiply" if share > 0 else "patient.divide"].format(factor=_number(language)(factor))
