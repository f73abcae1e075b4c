from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.core.errors import OutputError
from leukopy.reports.confusion import row_shares, write_confusion_csv, write_confusion_png
from leukopy.taxonomy import COARSE

_MATRIX = np.zeros((8, 8), dtype=np.int64)
_MATRIX[0, :2] = 3, 1
_MATRIX[1, 1] = 5


def test_rows_sum_to_one_and_absent_classes_say_nothing():
    shares = row_shares(_MATRIX)
    assert shares[0, :2].tolist() == [0.75, 0.25]
    assert shares[:2].sum(axis=1).tolist() == [1, 1]
    assert np.isnan(shares[2:]).all()


def test_table_holds_counts_and_shares_in_taxonomy_order(tmp_path):
    write_confusion_csv(tmp_path / "confusion_coarse.csv", _MATRIX, COARSE)
    table = pl.read_csv(tmp_path / "confusion_coarse.csv")
    codes = [cell.code for cell in COARSE]
    assert table["truth"].to_list() == codes
    assert table.columns == ["truth", "images", *codes, *(f"share_{code}" for code in codes)]
    assert table.select(codes).to_numpy().tolist() == _MATRIX.tolist()
    assert table["share_EO"].to_list() == [0.25, 1.0, *[None] * 6]


def test_picture_is_darkest_where_most_images_are(tmp_path):
    path = tmp_path / "confusion_coarse.png"
    write_confusion_png(path, _MATRIX, COARSE, "A model on some images")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert picture.shape[0] > 600
    # Full, three quarters, one quarter: three shades of the colour map, none elsewhere.
    dark = (picture.sum(axis=2) < 300).mean()
    assert 0.01 < dark < 0.1
    write_confusion_png(tmp_path / "again.png", _MATRIX, COARSE, "A model on some images")
    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()


def test_what_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "confusion.csv").mkdir()
    with pytest.raises(OutputError, match=r"confusion\.csv"):
        write_confusion_csv(tmp_path / "confusion.csv", _MATRIX, COARSE)
