"""Photographs of fields in the station: searched as by ``leukopy analyze``; drawn, removed, sealed, erased."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.core.errors import InputError
from leukopy.review.field_search import cut_drawn
from leukopy.review.importing import import_as_case
from leukopy.review.records import (
    CaseDraft,
    CaseSearch,
    CellRow,
    DrawnBox,
    JobState,
    SmearChange,
    SmearFindings,
    User,
    VoidCell,
)
from leukopy.review.settings import ReviewSettings
from leukopy.review.smear import field_objects, read_smear
from leukopy.review.store import Conflict, NotAllowed, Store
from leukopy.review.store import tables as t
from leukopy.review.uploads import Upload, keep, unpack
from leukopy.review.worker import Worker
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields
from support.waiting import until


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn fields."""
    return draw_fields(
        DrawFieldsSettings(fields=2, size=(900, 1200)), tmp_path_factory.mktemp("drawn") / "drawn"
    ).fields


class Bench:
    """A station of one user with a case of the photographs, searched by a worker."""

    def __init__(self, folder: Path, photographs: Path) -> None:
        self.settings = ReviewSettings(folder=folder)
        self.store = Store.open(self.settings)
        self.user: User = self.store.users.single_user()
        self.case_id = self.store.cases.open(self.user, CaseDraft(slide="fields")).id
        self.worker = Worker(self.store, self.settings)
        self.worker.start()
        self.added = self.upload(photographs)
        self.analyse()

    def upload(self, folder: Path) -> bool:
        """Whether files were taken for fields."""
        files = [Upload(path.name, BytesIO(path.read_bytes())) for path in sorted(folder.glob("*.png"))]
        result = keep(self.store, self.user, self.case_id, unpack(files, self.settings.limits), kind=None)
        return result.fields and result.refused == ()

    def analyse(self) -> None:
        self.store.jobs.start(self.user, self.case_id)
        self.worker.wake()
        until(lambda: self._state() not in (JobState.QUEUED, JobState.RUNNING))
        assert self._state() is JobState.FINISHED

    def _state(self) -> JobState | None:
        job = self.store.jobs.latest(self.user, self.case_id)
        return job and job.state

    @property
    def cells(self) -> tuple[CellRow, ...]:
        return self.store.cells.all(self.user, self.case_id)

    @property
    def version(self) -> int:
        return self.store.cases.get(self.user, self.case_id).version


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("station") / "station", photographs)
    yield bench
    bench.worker.stop()
    bench.store.close()


def test_the_station_finds_what_analyze_finds(bench: Bench, photographs: Path, tmp_path: Path) -> None:
    assert bench.added
    out = analyze(AnalyzeSettings(input=photographs, input_kind="fields"), tmp_path / "out").folder
    rows = pl.read_parquet(out / "cells.parquet")
    names = {view.id: view.name for view in bench.store.fields.all(bench.user, bench.case_id)}
    found = {
        (names[cell.field or 0], cell.box): (cell.model_code, round(cell.confidence or 0, 4)) for cell in bench.cells
    }
    expected = {
        (row["field"], tuple(round(row[f"box_{name}"]) for name in ("x", "y", "width", "height"))): (
            "UNIDENTIFIED" if "unidentified" in row["flags"] else row["fine"],
            round(row["fine_confidence"] or 0, 4),
        )
        for row in rows.iter_rows(named=True)
    }
    assert len(found) > 10
    assert found == expected
    objects = bench.store.fields.rows(bench.store.fields.files(bench.case_id)).objects
    assert len(objects) == len(pl.read_parquet(out / "objects.parquet"))


def test_a_run_on_fields_is_imported_whole(bench: Bench, photographs: Path, tmp_path: Path) -> None:
    out = analyze(AnalyzeSettings(input=photographs, input_kind="fields"), tmp_path / "out").folder
    result = import_as_case(bench.store, bench.user, CaseDraft(slide="imported"), out)
    assert (result.added, result.refused) == (2, ())
    (case,) = bench.store.cases.search(bench.user, CaseSearch(text="imported")).cases
    expected = {
        (row["cell_id"], tuple(round(row[f"box_{name}"]) for name in ("x", "y", "width", "height")))
        for row in pl.read_parquet(out / "cells.parquet").iter_rows(named=True)
    }
    cells = bench.store.cells.all(bench.user, case.id)
    assert {(cell.name, cell.box) for cell in cells} == expected
    smear = read_smear(bench.store, bench.settings, bench.user, case.id)
    assert smear is not None
    assert smear.red_cells == len(pl.read_parquet(out / "objects.parquet").filter("counted", kind="red_cell"))
    pictures = bench.store.cells.pictures(bench.user, case.id)
    assert set(pictures.values()) <= set(bench.store.cells.pictures(bench.user, bench.case_id).values())
    assert bench.store.audit.verify().intact


def test_a_drawn_cell_is_judged_and_counted(bench: Bench) -> None:
    before = {cell.id for cell in bench.cells}
    model = next(cell for cell in bench.cells if cell.code == "SNE" and cell.box)
    assert model.field is not None
    assert model.box is not None
    left, top, width, height = model.box
    drawn = DrawnBox(version=bench.version, box=(left + 3, top - 2, width, height))
    outside = DrawnBox(version=bench.version, box=(-500, 0, 20, 20))
    picture = cut_drawn(bench.store, bench.case_id, model.field, drawn.box)
    with pytest.raises(NotAllowed, match="middle"):
        bench.store.fields.draw(bench.user, bench.case_id, model.field, outside, picture)
    bench.store.fields.draw(bench.user, bench.case_id, model.field, drawn, picture)
    bench.analyse()
    (cell,) = [cell for cell in bench.cells if cell.id not in before]
    assert (cell.box, cell.field, cell.drawn_by) == (drawn.box, model.field, bench.user.full_name)
    assert cell.model_code == model.model_code  # nearly the same picture
    assert cell.not_counted is None
    assert all(one.drawn_by is None for one in bench.cells if one.id in before)
    again = DrawnBox(version=bench.version, box=drawn.box)
    bench.store.fields.draw(bench.user, bench.case_id, model.field, again, picture)
    bench.analyse()
    assert next(one for one in bench.cells if one.id == max(row.id for row in bench.cells)).not_counted == "duplicate"


def test_a_false_cell_is_removed_with_a_reason_and_comes_back(bench: Bench) -> None:
    cell = bench.cells[0]
    gone = bench.store.removal.void_cell(
        bench.user, bench.case_id, cell.id, VoidCell(version=cell.version, reason="a smudge")
    )
    assert gone.not_counted == "void"
    back = bench.store.removal.void_cell(bench.user, bench.case_id, cell.id, VoidCell(version=gone.version, reason=""))
    assert back.not_counted == cell.not_counted
    actions = [entry.action for entry in bench.store.audit.history(bench.user, bench.case_id)]
    assert {"fields.added", "fields.searched", "cell.voided", "cell.restored"} <= set(actions)


def test_red_cells_and_platelets_are_those_of_analyze_and_can_be_read(
    bench: Bench, photographs: Path, tmp_path: Path
) -> None:
    smear = read_smear(bench.store, bench.settings, bench.user, bench.case_id)
    assert smear is not None
    out = analyze(AnalyzeSettings(input=photographs, input_kind="fields"), tmp_path / "out").folder
    objects = pl.read_parquet(out / "objects.parquet").filter("counted")
    assert smear.red_cells == len(objects.filter(kind="red_cell")) > 100
    assert smear.platelets == len(objects.filter(kind="platelet"))
    findings = SmearFindings(platelets=231, clumps=False, shapes={"schistocyte": "2+"}, comment="few")
    bench.store.fields.find(bench.user, bench.case_id, SmearChange(version=bench.version, findings=findings))
    again = read_smear(bench.store, bench.settings, bench.user, bench.case_id)
    assert again is not None
    assert (again.findings, again.by) == (findings, bench.user.full_name)
    assert again.platelet_estimate == smear.platelet_estimate
    with pytest.raises(ValidationError, match="graded"):
        SmearFindings(shapes={"normal": "1+"})
    with pytest.raises(Conflict):
        bench.store.fields.find(bench.user, bench.case_id, SmearChange(version=1, findings=findings))
    found = field_objects(bench.store, bench.case_id, 1)
    assert {one.kind for one in found} >= {"red_cell", "leukocyte"}


@pytest.mark.parametrize(
    "change",
    [
        {"left_out": "no blood film"}, {"digest": "0" * 64}, {"detections": None}, {"name": "other.png"}, {"width": 1},
    ],
)  # fmt: skip
def test_a_write_to_the_fields_past_the_station_is_found(bench: Bench, change: dict[str, object]) -> None:
    assert bench.store.audit.verify().intact
    with bench.store.database.read() as db:
        row = db.execute(sa.select(*(getattr(t.Field, name) for name in change)).where(*first(bench))).one()
    try:
        _write(bench, change)
        check = bench.store.audit.verify()
        assert not check.intact
        assert "fields" in str(check.problem)
    finally:
        _write(bench, dict(zip(change, row, strict=True)))
    assert bench.store.audit.verify().intact


def first(bench: Bench) -> tuple[sa.ColumnElement[bool], ...]:
    """The first field of the case."""
    return t.Field.case_id == bench.case_id, t.Field.number == 1


def _write(bench: Bench, values: dict[str, object]) -> None:
    with bench.store.database.write() as db:
        db.connection().execute(sa.update(t.Field).where(*first(bench)).values(values))


def test_a_swapped_detection_file_is_found(bench: Bench) -> None:
    path = bench.store.images.path(str(bench.store.fields.files(bench.case_id)[0].detections))
    data = path.read_bytes()
    try:
        path.write_bytes(data.replace(b"red", b"der", 1))
        assert not bench.store.audit.verify().intact
    finally:
        path.write_bytes(data)


def test_an_upload_of_cells_and_fields_is_refused(bench: Bench, photographs: Path, tmp_path: Path) -> None:
    cells = draw(DrawSettings(per_class=2, size=200), tmp_path / "cells").cells
    for path in photographs.glob("*.png"):
        (cells / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="one after the other"):
        bench.upload(cells)


def test_an_erased_case_leaves_no_file(tmp_path: Path, photographs: Path) -> None:
    bench = Bench(tmp_path / "station", photographs)
    try:
        bench.store.removal.erase(bench.user, [bench.case_id], "request")
        assert [path for path in bench.store.images.folder.rglob("*") if path.is_file()] == []
        assert bench.store.audit.verify().intact
    finally:
        bench.worker.stop()
        bench.store.close()
