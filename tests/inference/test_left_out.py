"""Copies and pictures without a single cell stay rows, and are in no count."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leukopy.imaging.content import DARK, FIELD, Content
from leukopy.inference.left_out import Digests, mark
from leukopy.inference.rows import (
    CELL_SCHEMA,
    FAILURE_SCHEMA,
    OOD_SCHEMA,
    counted_code,
    is_counted,
    is_duplicate,
    left_out_flag,
    without_class,
)
from leukopy.slides.differential_files import count_cells

CELL = Content("cell", "", True)
DARK_FRAME = Content("no_cell", DARK, False)
FIELD_VIEW = Content("several_cells", FIELD, False)


def rows(*flags: str, digests: str = "") -> pl.DataFrame:
    count = len(flags)
    named = {
        "cell_id": [f"c{number}" for number in range(count)],
        "path": [f"/s/c{number}.png" for number in range(count)],
        "coarse": ["LY"] * count, "fine": ["LY"] * count, "flags": list(flags),
        "digest": [letter * 64 for letter in digests or "0123456789abcdef"[:count]],
    }  # fmt: skip
    schema = CELL_SCHEMA | OOD_SCHEMA
    named["content"] = [None] * count
    return pl.DataFrame({name: named.get(name, [1] * count) for name in schema}, schema_overrides=schema, strict=False)


def test_rows_of_cells_stay_as_they_are():
    before = rows("", "uncertain", "unidentified;not_square")
    after = mark(before, [CELL] * 3, Digests())
    assert_frame_equal(after, before)
    assert after["content"].to_list() == [None] * 3


def test_a_picture_without_a_cell_has_no_class_and_its_cause():
    after = mark(rows("unidentified;uncertain;not_square", ""), [DARK_FRAME, FIELD_VIEW], Digests())
    assert after["flags"].to_list() == ["no_cell;not_square", "several_cells"]
    assert after["content"].to_list() == [DARK, FIELD]
    kept = {"cell_id", "path", "slide", "flags", "content", "width", "height", "digest"}
    assert after.select(pl.exclude(kept)).null_count().row(0) == (2,) * (len(after.columns) - len(kept))
    assert after["width"].null_count() == after["digest"].null_count() == 0


def test_the_first_of_equal_files_counts_over_batches():
    digests = Digests()
    first = mark(rows("", "uncertain", "", digests="aba"), [CELL] * 3, digests)
    second = mark(rows("", "", digests="bc"), [CELL] * 2, digests)
    assert [*first["flags"], *second["flags"]] == ["", "uncertain", "duplicate", "duplicate", ""]
    assert first["fine"].null_count() == 0
    resumed = mark(rows("", "", digests="bc"), [CELL] * 2, Digests(first["digest"]))
    assert_frame_equal(resumed, second)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_every_row_is_counted_or_told_once(engine):
    marked = mark(rows("", "unidentified", "", "", digests="abac"), [CELL, CELL, DARK_FRAME, FIELD_VIEW], Digests())
    columns = {"code": counted_code(), "counted": is_counted(), "copy": is_duplicate(), "left_out": left_out_flag()}
    assert marked.lazy().select(**columns).collect(engine=engine).rows() == [
        ("LY", True, False, None),
        ("UNIDENTIFIED", True, False, None),
        (None, False, True, "no_cell"),
        (None, False, False, "several_cells"),
    ]


def test_rows_without_a_class_as_failures():
    found = without_class(mark(rows("", "", ""), [CELL, DARK_FRAME, FIELD_VIEW], Digests()))
    assert found.schema == FAILURE_SCHEMA
    assert found.rows() == [
        ("c1", "/s/c1.png", "no_cell", f"/s/c1.png: {DARK}."),
        ("c2", "/s/c2.png", "several_cells", f"/s/c2.png: {FIELD}."),
    ]
    assert without_class(rows("", "")).is_empty()


def test_the_differential_leaves_them_out_and_says_so():
    flags = [""] * 6
    marked = mark(rows(*flags, digests="abcaad"), [CELL, CELL, DARK_FRAME, CELL, CELL, CELL], Digests())
    found = count_cells(marked.lazy())
    assert (found.cells, found.leukocytes, found.refused) == (3, 3, "")
    assert found.notes[-2:] == (
        f"No single cell in 1 of 6 pictures, which have no class: 1 {DARK}.",
        "2 files are copies of others, byte for byte, and counted once.",
    )


def test_a_slide_of_dark_frames_has_no_differential_but_the_reason():
    marked = mark(rows(*[""] * 4), [CELL, DARK_FRAME, DARK_FRAME, DARK_FRAME], Digests())
    found = count_cells(marked.lazy())
    assert (found.cells, found.leukocytes) == (0, 0)
    assert found.refused == found.notes[0]
    assert found.refused.startswith(f"No differential: only 1 of 4 pictures show a cell that can be trusted. Most of "
                                    f"the others are: {DARK}.")  # fmt: skip


def test_many_cells_beside_more_empty_pictures_have_a_differential():
    marked = pl.concat([
        mark(rows(*[""] * 10).with_columns(digest=pl.lit(f"{part:064x}") + pl.col("digest")), [kind] * 10, Digests())
        for part, kind in enumerate([CELL, CELL, DARK_FRAME, DARK_FRAME, DARK_FRAME])
    ])  # fmt: skip
    found = count_cells(marked.lazy())
    assert (found.leukocytes, found.refused) == (20, "")


def test_fields_of_view_have_no_differential():
    found = count_cells(mark(rows("", ""), [CELL, CELL], Digests()).lazy(), fields="These pictures are fields of view.")
    assert found.leukocytes == 0
    assert found.notes == ("These pictures are fields of view.",)
