from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.fields.field import Field, FieldInput
from leukopy.reports import field_pictures
from leukopy.reports.field_pictures import LONGEST, FieldPictures, choose_fields


def _field(name, level=100, size=(30, 40)):
    return Field(FieldInput(name, f"/{name}"), np.full((*size, 3), level, np.uint8), "0" * 64)


def _never(source):
    raise AssertionError(f"{source.field_id} was read again")


def test_the_fields_with_the_most_leukocytes_are_kept():
    counts = {"a": 2, "b": 5, "c": -1, "d": 5, "e": 3}
    pictures = FieldPictures(3)
    for number, (name, count) in enumerate(counts.items()):
        pictures.add(_field(name, 40 * number), count)
    chosen = choose_fields(list(counts.items()), 3)
    assert chosen == ["b", "d", "e"]
    found = pictures.of([FieldInput(name, f"/{name}") for name in chosen], _never)
    assert list(found) == chosen
    levels = [int(np.asarray(Image.open(BytesIO(webp)))[0, 0, 0]) for webp in found.values()]
    assert np.allclose(levels, [40, 120, 160], atol=3)


def test_a_resumed_run_reads_what_is_missing_and_skips_what_is_unreadable():
    def read(source):
        if source.field_id == "gone":
            raise ImageError("not_found", "gone")
        return _field(source.field_id)

    pictures = FieldPictures(3)
    pictures.add(_field("here"), 4)
    wanted = [FieldInput(name, f"/{name}") for name in ("gone", "here", "again")]
    assert list(pictures.of(wanted, read)) == ["here", "again"]


def test_large_fields_are_reduced_and_small_ones_are_not_enlarged():
    pictures = FieldPictures(2)
    pictures.add(_field("large", size=(900, 3000)), 1)
    pictures.add(_field("small"), 1)
    found = pictures.of([FieldInput("large", ""), FieldInput("small", "")], _never)
    sizes = {name: Image.open(BytesIO(webp)).size for name, webp in found.items()}
    assert sizes == {"large": (LONGEST, 300), "small": (40, 30)}


def test_the_page_stays_small(monkeypatch):
    pictures = FieldPictures(5)
    for number in range(5):
        pictures.add(_field(f"{number}"), 1)
    wanted = [FieldInput(f"{number}", "") for number in range(5)]
    size = len(next(iter(pictures.of(wanted, _never).values())))
    monkeypatch.setattr(field_pictures, "PICTURE_BYTES", 3 * size)
    assert list(pictures.of(wanted, _never)) == ["0", "1", "2"]


def test_no_field_is_kept_where_none_is_asked_for():
    pictures = FieldPictures(0)
    pictures.add(_field("a"), 1)
    assert pictures.of([], _never) == {}
