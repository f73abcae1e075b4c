"""Milliseconds of what the review station computes for one reader: count, reports, heat map, similar cells, patient.

    python benchmarks/review_parts.py

The cells are drawn; what is timed does not depend on what they look like. Medians, nothing kept from one round to the
next; the load of the machine stands beside them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import results_file
from leukopy.review.agreement import Reading, agree
from leukopy.review.assistance import Assistance
from leukopy.review.case_differential import count_case
from leukopy.review.documents import fhir_bundle, signed_csv, signed_html, signed_pdf
from leukopy.review.lymphocytosis import LymphocytosisPredictor
from leukopy.review.records import Case, CellRow, SignedContent, Status
from leukopy.review.settings import ReviewSettings
from leukopy.review.signed_content import signed_content
from leukopy.synthesis import draw_cell

CELLS = 500
LYMPHOCYTES = 100
MIX = {"SNE": 250, "BNE": 15, "EO": 20, "BA": 5, "LY": 150, "MO": 40, "ERB": 10, "PLT": 10}


def milliseconds(compute: Callable[[], object], rounds: int) -> float:
    """The median; the first call, which loads libraries and models, is left out."""
    compute()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        compute()
        times.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(times), 2)


def case_of(cells: int) -> Case:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Case(
        id="ab" * 16, slide="S1", patient="P1", status=Status.REVIEWED, version=1, revision=1, owner="reader",
        created=now, changed=now, cells=cells, failures=0, corrected=0, age=70, lymphocytes=9.5, leukocytes=15.0,
    )  # fmt: skip


def documents(figures: dict[str, object]) -> None:
    """The count and the reports of a case of 500 cells."""
    settings = ReviewSettings(folder=Path("unused"), laboratory="A laboratory")
    cells = [
        CellRow(id=number, name=f"{number}.png", code=code, model_code=code, confidence=0.9, version=1)
        for number, code in enumerate(code for code, count in MIX.items() for _ in range(count))
    ]
    case = case_of(len(cells))

    def content() -> SignedContent:
        view = count_case(cells, (), case, settings)
        return signed_content(case, cells, view, agree(Reading.of(case.id, cells)), None, ("default", "0" * 64))

    signed = content()
    page = signed_html(signed)
    for name, compute, rounds in (
        ("count of 500 cells", lambda: count_case(cells, (), case, settings), 50),
        ("agreement of 500 cells", lambda: agree(Reading.of(case.id, cells)), 20),
        ("report as HTML", lambda: signed_html(signed), 20),
        ("report as PDF, from HTML", lambda: signed_pdf(page), 5),
        ("report as CSV", lambda: signed_csv(signed), 20),
        ("report as FHIR", lambda: fhir_bundle(signed), 10),
    ):
        figures[f"ms, {name}"] = milliseconds(compute, rounds)


def aids(figures: dict[str, object], folder: Path) -> None:
    """Recomputation from the pictures; the models are open, nothing else is cached."""
    paths = [folder / f"{number}.png" for number in range(LYMPHOCYTES)]
    for number, path in enumerate(paths):
        Image.fromarray(draw_cell("LY", seed=number).image).save(path)
    helper, lymphocytosis = Assistance(ReviewSettings(folder=folder)), LymphocytosisPredictor("lymphocytosis")
    cells = [
        CellRow(id=number, name=path.name, code="LY", model_code="LY", confidence=0.9, version=1)
        for number, path in enumerate(paths)
    ]
    ages = iter(range(20, 90))  # another age each time: a result that is kept would cost nothing

    def patient(by: LymphocytosisPredictor) -> object:
        case = case_of(LYMPHOCYTES).model_copy(update={"age": float(next(ages))})
        return by.predict(case, cells, lambda number: paths[number])

    for name, compute, rounds in (
        ("heat map of a cell, eight views", lambda: helper.heat.__wrapped__(paths[0], "LY"), 20),
        ("similar cells of a cell", lambda: helper.similar.__wrapped__(paths[0]), 20),
        ("reference picture, drawn", lambda: draw_cell("EO", seed=1), 10),
        ("lymphocytosis result of 100 cells, first", lambda: patient(LymphocytosisPredictor("lymphocytosis")), 5),
        ("lymphocytosis result of 100 cells, after a change", lambda: patient(lymphocytosis), 10),
    ):
        figures[f"ms, {name}"] = milliseconds(compute, rounds)


def main() -> None:
    figures: dict[str, object] = {"cells": CELLS, "load_before": os.getloadavg()[0]}
    documents(figures)
    with TemporaryDirectory() as scratch:
        aids(figures, Path(scratch))
    for name, value in figures.items():
        print(f"{name}: {value}")
    results_file.write("review_parts", figures)


if __name__ == "__main__":
    main()
