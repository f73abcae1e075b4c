"""A signed case whose numbers are known, with text that nobody should trust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from leukopy.review.agreement import Reading, agree
from leukopy.review.case_differential import count_case
from leukopy.review.records import Case, CellRow, ClassChoice, PatientView, Signature, SignedContent, Status
from leukopy.review.settings import ReviewSettings
from leukopy.review.signed_content import signed_content

HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> \"&\u202e"
MIX = {"SNE": 52, "BNE": 4, "EO": 5, "LY": 23, "LYA": 4, "MO": 8, "MMY": 1, "MY": 1, "HAIRY": 2, "ERB": 3, "PLT": 12}
SIGNED = datetime(2026, 11, 21, 10, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def build_content() -> Callable[..., SignedContent]:
    """A case of ``MIX``; ``apart`` are code and flag of cells that are not counted, ``values`` those of the case."""

    def build(
        counts: dict[str, int] | None = None,
        judged: PatientView | None = None,
        apart: Sequence[tuple[str | None, str]] = (),
        **values: object,
    ) -> SignedContent:
        codes = [code for code, count in (counts or MIX).items() for _ in range(count)]
        cells = [
            CellRow(id=number, name=f"c{number:03d}.png", code=code, model_code=code, confidence=0.97, version=1)
            for number, code in enumerate(codes)
        ]
        if counts is None:
            cells[60] = cells[60].model_copy(update={"model_code": "BA", "changed_by": "r", "comment": HOSTILE})
        for number, cell in enumerate(cells):
            if cell.code == "HAIRY":
                cells[number] = cell.model_copy(update={"model_code": "LY", "changed_by": "r"})
        cells += [
            CellRow(id=1000 + number, name=f"x{number}.png", code=code, model_code=code, confidence=None,
                    flags=(flag,), comment="look here", version=1)
            for number, (code, flag) in enumerate(apart)
        ]  # fmt: skip
        own = ClassChoice(
            code="HAIRY", name="hairy cell", french="tricholeucocyte", colour="#336699", key="h",
            place="differential", own=True,
        )  # fmt: skip
        case = Case.model_validate({
            "id": "ab" * 16, "slide": "S-2026-0142", "patient": "Martin, Jeanne", "specimen_date": date(2026, 11, 20),
            "comment": HOSTILE, "age": 71, "lymphocytes": 12.3, "leukocytes": 14.2, "status": Status.REVIEWED,
            "version": 12, "revision": 1, "owner": "r", "created": SIGNED, "changed": SIGNED, "cells": len(cells),
            "failures": 0, "corrected": 3, "model": "default a79649316f14", **values,
        })  # fmt: skip
        view = count_case(cells, [own], case, ReviewSettings(folder=Path("unused")))
        agreement = agree(Reading.of(case.id, cells), [own])
        return signed_content(case, cells, view, agreement, judged, ("default", "a7964931" * 8))

    return build


@pytest.fixture
def content(build_content: Callable[..., SignedContent], patient: PatientView) -> SignedContent:
    """The first revision, with a lymphocytosis result."""
    return build_content(judged=patient)


@pytest.fixture(scope="session")
def patient() -> PatientView:
    """A result close to its threshold."""
    return PatientView(
        probability=0.873, threshold=0.55, operating_point="balanced", sensitivity=0.91, specificity=0.82,
        decision="tumoral", low=0.78, high=0.93, clinical_share=1.2, cells=(), lymphocytes_read=27,
        flags=("Close to the threshold: 3 of the 20 members decide otherwise.",), flag_words=("close_to_threshold",),
        model="lymphocytosis 0123",
    )  # fmt: skip


@pytest.fixture(scope="session")
def signatures() -> tuple[Signature, ...]:
    """Of two readers, on revisions 1 and 2."""
    return tuple(
        Signature(revision=revision, part=part, user=user, at=SIGNED, digest=f"{revision}f" * 32)
        for revision in (1, 2)
        for part, user in (("second", "Pr Hugo Meyer"), ("first", "Dr Amélie Durand"))
    )
