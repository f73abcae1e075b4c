"""A case analysed by the station says what ``leukopy analyze`` says of the same folder."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft, CaseSearch, JobState
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.uploads import Upload, keep, unpack
from leukopy.review.worker import Worker
from leukopy.slides.laboratory_check import SlideDistance
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn slide with one file that is no image."""
    folder = draw(DrawSettings(per_class=2, size=200), tmp_path_factory.mktemp("slide") / "drawn").cells
    (folder / "notes.jpg").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def result(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analyze(AnalyzeSettings(input=slide), tmp_path_factory.mktemp("result") / "out").folder


Answers = dict[str, tuple[str, float, dict[str, float], tuple[str, ...], str, dict[str, str]]]


def answers(store: Store, case_id: str) -> Answers:
    """Class, its probability, all probabilities, flags, words and attributes of each cell, by name."""
    user = store.users.single_user()
    details = [store.cells.detail(user, case_id, cell.id) for cell in store.cells.all(user, case_id)]
    return {
        one.name: (
            one.code, one.confidence, one.probabilities, one.flags, one.why,
            {name: value for name, (value, _) in one.attributes.items()},
        )
        for one in details
    }  # fmt: skip


def expected(result: Path) -> Answers:
    return {
        row["cell_id"]: (
            "UNIDENTIFIED" if "unidentified" in row["flags"] else row["fine"],
            round(row["fine_confidence"], 6),
            {code: round(row[f"p_{code}"], 6) for code in open_bundle().card.answers},
            tuple(row["flags"].split(";")) if row["flags"] else (),
            row["why"] or "",
            {
                name.removeprefix("attr_"): value
                for name, value in row.items()
                if name.startswith("attr_") and not name.endswith("_p") and value is not None
            },
        )
        for row in pl.read_parquet(result / "cells.parquet").iter_rows(named=True)
    }


def slide_of(store: Store, case_id: str) -> SlideDistance | None:
    """How far the station says that the slide is from what the model has learnt."""
    found = store.cases.get(store.users.single_user(), case_id).slide_check
    return found and SlideDistance(found.distance, found.nearest, found.cells)


def slide_of_run(result: Path) -> SlideDistance:
    """The same of an analysis; the default model knows it of as few cells as these."""
    return SlideDistance(**json.loads((result / "run.json").read_text())["slide"]["distance"])


def test_the_station_and_analyze_say_the_same(slide, result, tmp_path):
    settings = ReviewSettings(folder=tmp_path / "station")
    store = Store.open(settings)
    user = store.users.single_user()
    case = store.cases.open(user, CaseDraft(slide="drawn"))
    uploads = [Upload(path.name, BytesIO(path.read_bytes())) for path in sorted(slide.iterdir())]
    taken = keep(store, user, case.id, unpack(uploads, settings.limits))
    assert (taken.added, [one.reason for one in taken.refused]) == (22, ["not_an_image"])
    job = store.jobs.start(user, case.id)
    worker = Worker(store, settings)
    worker._run(store.jobs.claim("test"))  # type: ignore[arg-type]  (there is one)
    assert store.jobs.latest(user, case.id).state == JobState.FINISHED  # type: ignore[union-attr]
    assert job.total == 22
    found, wanted = answers(store, case.id), expected(result)
    assert slide_of(store, case.id) == slide_of_run(result)
    store.close()
    assert found == wanted


def test_an_imported_analysis_says_the_same(result, tmp_path):
    store = Store.open(ReviewSettings(folder=tmp_path / "station"))
    user = store.users.single_user()
    steps: list[tuple[str, int, int | None]] = []
    taken = import_as_case(store, user, CaseDraft(slide="drawn"), result, lambda *step: steps.append(step))
    assert taken.added == 22
    rows = pl.read_parquet(result / "cells.parquet").height
    assert steps == [("copying", done, rows) for done in range(rows + 1)]
    (case,) = store.cases.search(user, CaseSearch()).cases
    found = answers(store, case.id)
    assert slide_of(store, case.id) == slide_of_run(result)
    store.close()
    assert found == expected(result)
