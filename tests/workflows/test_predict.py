"""Rows only: to a file or a stream, the same rows."""

from __future__ import annotations

from io import BytesIO

import polars as pl
import pytest

from leukopy.core.errors import OutputError, SettingsError
from leukopy.inference.rows import CELL_SCHEMA
from leukopy.workflows.predict import PredictSettings, predict

CELLS = 300


@pytest.fixture
def settings(colour_model, tmp_path):
    colour_model.draw_folder(tmp_path / "slide", CELLS)
    (tmp_path / "slide" / "c00009.png").write_bytes(b"")
    return PredictSettings(input=tmp_path / "slide", model=str(colour_model.path))


def test_file_and_stream_hold_the_same_rows(settings, tmp_path):
    stream = BytesIO()
    results = [predict(settings, out) for out in (stream, tmp_path / "rows.csv", tmp_path / "rows.parquet")]
    assert {(result.cells, result.failures["reason"].to_list()[0]) for result in results} == {(CELLS - 1, "empty_file")}
    assert stream.getvalue() == (tmp_path / "rows.csv").read_bytes()
    table = pl.read_parquet(tmp_path / "rows.parquet")
    assert table.schema == pl.Schema(CELL_SCHEMA)
    assert pl.read_csv(stream.getvalue())["fine"].to_list() == table["fine"].to_list()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.parquet", "slide"]


def test_a_stream_has_its_header_even_without_a_row(settings, tmp_path):
    (tmp_path / "none.png").touch()
    stream = BytesIO()
    result = predict(settings.model_copy(update={"input": tmp_path / "none.png"}), stream)
    assert (result.cells, len(result.failures)) == (0, 1)
    assert stream.getvalue().decode().strip() == ",".join(CELL_SCHEMA)


def test_an_interrupted_file_is_absent(settings, tmp_path):
    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"rows\.csv was not written"):
        predict(settings, tmp_path / "rows.csv", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["slide"]


def test_where_rows_cannot_go(settings, tmp_path):
    with pytest.raises(SettingsError, match=r"rows\.xlsx: rows are written as"):
        predict(settings, tmp_path / "rows.xlsx")
    with pytest.raises(OutputError, match=r"rows\.csv: could not be written"):
        predict(settings, tmp_path / "absent" / "rows.csv")
