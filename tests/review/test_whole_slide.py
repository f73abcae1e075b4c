"""A finished analysis of a whole slide in the station: its fields, the places of its cells, its overview."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
pytest.importorskip("openslide", reason="openslide is not installed (extra 'slides')")

from leukopy.fields.field import Region
from leukopy.fields.whole_slide import WholeSlide
from leukopy.imaging.decode import read_image
from leukopy.review.field_search import cut_drawn
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft, CaseSearch, SlideOverview
from leukopy.review.settings import ReviewSettings
from leukopy.review.smear import read_smear
from leukopy.review.store import NotFound, Store
from leukopy.review.store import tables as t
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from support.slides import draw_svs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a drawn SVS, which lies beside them."""
    folder = tmp_path_factory.mktemp("whole")
    return analyze(AnalyzeSettings(input=draw_svs(folder), leukocytes=10, threads=1), folder / "out").folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(ReviewSettings(folder=tmp_path / "station"))
    yield store
    store.close()


def imported(store: Store, analysed: Path) -> str:
    user = store.users.single_user()
    found = import_as_case(store, user, CaseDraft(slide="whole"), analysed)
    assert found.refused == ()
    (case,) = store.cases.search(user, CaseSearch()).cases
    return case.id


def test_each_cell_lies_where_it_was_found_on_the_slide(store: Store, analysed: Path) -> None:
    case_id, user = imported(store, analysed), store.users.single_user()
    cells = pl.read_parquet(analysed / "cells.parquet")
    rows = pl.read_parquet(analysed / "fields.parquet")
    fields = {one.id: one for one in store.fields.all(user, case_id)}
    assert [one.name for one in fields.values()] == rows["field"].to_list()
    assert [one.place for one in fields.values()] == rows.select(
        "slide_x", "slide_y", "slide_width", "slide_height"
    ).rows()
    assert all(one.searched for one in fields.values())
    found = {(fields[row.field].name, tuple(row.box)) for row in store.cells.all(user, case_id) if row.box}
    columns = ["box_x", "box_y", "box_width", "box_height"]
    expected = {
        (field, tuple(round(side) for side in box)) for field, *box in cells.select("field", *columns).iter_rows()
    }
    assert found == expected
    assert len(found) == len(cells) >= 10


def test_pictures_and_counts_are_those_of_the_analysis(store: Store, analysed: Path) -> None:
    case_id, user = imported(store, analysed), store.users.single_user()
    first = store.fields.all(user, case_id)[0]
    with WholeSlide.open(analysed.parent / "slide.svs") as slide:
        kept = read_image(store.images.path(first.digest))
        assert (kept == slide.read(Region(*first.place))).all()
        overview, digest = store.fields.overview(user, case_id)
        assert overview == SlideOverview(width=slide.width, height=slide.height)
    assert store.images.read(digest) == (analysed / "overview.png").read_bytes()
    smear = read_smear(store, store.settings, user, case_id)
    objects = pl.read_parquet(analysed / "objects.parquet").filter("counted")
    assert smear.red_cells == len(objects.filter(kind="red_cell")) > 100
    assert cut_drawn(store, case_id, first.id, (300, 300, 60, 60)).width > 40  # a cell may be drawn there
    assert store.audit.verify().intact


def test_what_is_written_past_the_station_on_the_overview_is_found(store: Store, analysed: Path) -> None:
    case_id = imported(store, analysed)
    for write in (
        sa.update(t.Overview).values(width=1),
        sa.update(t.Field).values(place=[0, 0, 1, 1]),
    ):
        with store.database.write() as db:
            db.execute(write)
        found = store.audit.verify()
        assert not found.intact
        assert case_id in found.problem


def test_the_overview_goes_with_its_case(store: Store, analysed: Path) -> None:
    case_id, station = imported(store, analysed), store.users.for_maintenance()
    _, digest = store.fields.overview(station, case_id)
    store.removal.erase(station, [case_id], "request")
    assert not store.images.path(digest).exists()
    with pytest.raises(NotFound):
        store.fields.overview(station, case_id)
    assert store.audit.verify().intact


def test_a_slide_that_was_changed_or_is_gone_is_told(store: Store, analysed: Path, tmp_path: Path) -> None:
    user, moved = store.users.single_user(), tmp_path / "moved"
    shutil.copytree(analysed, moved)
    fields = pl.read_parquet(moved / "fields.parquet")
    fields.with_columns(path=pl.lit(str(tmp_path / "gone.svs"))).write_parquet(moved / "fields.parquet")
    found = import_as_case(store, user, CaseDraft(slide="gone"), moved)
    assert {one.reason for one in found.refused} == {"not_found"}
    fields.with_columns(digest=pl.lit("0" * 64)).write_parquet(moved / "fields.parquet")
    found = import_as_case(store, user, CaseDraft(slide="changed"), moved)
    assert {one.reason for one in found.refused} == {"changed"}
    assert found.added == 0


def test_photographs_show_no_slide(store: Store) -> None:
    user = store.users.single_user()
    case = store.cases.open(user, CaseDraft(slide="photographs"))
    assert store.fields.overview(user, case.id) is None
    with pytest.raises(NotFound):
        store.fields.overview(user, "0" * 32)
