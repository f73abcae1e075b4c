"""Cells or fields, told from the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from leukopy.core.errors import InputError
from leukopy.fields.kind import guess_kind
from leukopy.inference.rows import CellInput
from leukopy.synthesis import Scene, draw_cell, draw_field

CELLS = [draw_cell(code, seed=n, size=240).image for n, code in enumerate(["SNE", "LY", "MO", "EO", "BA", "PLT"])]
FIELDS = [draw_field({"SNE": 3, "LY": 2}, seed=n, size=(480, 640), scene=Scene()).image for n in range(5)]


@pytest.fixture
def save(tmp_path):
    """Writes pictures and returns them as inputs."""

    def write(*pictures, suffix="png"):
        inputs = []
        for number, pixels in enumerate(pictures):
            path = tmp_path / f"{number:03}.{suffix}"
            Image.fromarray(pixels).save(path)
            inputs.append(CellInput(path.name, str(path)))
        return inputs

    return write


def enlarged(pixels, times):
    return np.asarray(Image.fromarray(pixels).resize((pixels.shape[1] * times, pixels.shape[0] * times)))


def test_cells_are_cells(save):
    assert guess_kind(save(*CELLS), "x").kind == "cells"


def test_large_pictures_of_single_cells_are_cells(save):
    assert guess_kind(save(*(enlarged(cell, 3) for cell in CELLS)), "x").kind == "cells"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fields_are_fields(save, count):
    found = guess_kind(save(*FIELDS[:count], suffix="jpg"), "x")
    assert (found.kind, found.looked_at) == ("fields", count)


def test_a_blank_or_broken_field_among_fields_is_no_cell(save, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    broken = CellInput("broken.png", str(tmp_path / "broken.png"))
    blank = np.full((480, 640, 3), 228, np.uint8)
    assert guess_kind([*save(*FIELDS, blank), broken], "x").kind == "fields"


def test_both_are_refused_with_one_of_each(save):
    with pytest.raises(InputError, match=r"night: holds cells and fields.*first is 001\.png.*first is 000\.png.*--as"):
        guess_kind(save(CELLS[0], *FIELDS[:2], *CELLS[1:3]), "night")


def test_what_shows_nothing_stained_is_cells(save):
    plain = [np.full((600, 600, 3), level, np.uint8) for level in (3, 128, 250)]
    assert guess_kind(save(*plain), "x").kind == "cells"
    assert guess_kind([], "x").kind == "cells"


def test_a_file_of_several_pages_is_fields(tmp_path):
    path = tmp_path / "stack.tif"
    first, *others = (Image.fromarray(field) for field in FIELDS[:3])
    first.save(path, save_all=True, append_images=others)
    assert guess_kind([CellInput("stack.tif", str(path))], "x").kind == "fields"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("fields/bccd/training/images", "fields"), ("fields/chula", "fields"), ("fields/chula_rbc12", "fields"),
        ("cells/pbc_original", "cells"), ("cells/raabin", "cells"), ("cells/chula", "cells"),
        ("cells/hopkins", "cells"),
    ],
)  # fmt: skip
def test_pictures_of_laboratories(folder, kind, real_data):
    files = [one for one in sorted((real_data / folder).rglob("*.*")) if one.suffix in (".webp", ".jpg", ".png")]
    for start in range(5):
        some = files[start::5][:200]
        assert guess_kind([CellInput(one.name, str(one)) for one in some], folder).kind == kind
