"""Pictures for the gallery: whole, or cropped to the cell."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.imaging.segmentation import box, find_cell
from leukopy.review.thumbnails import thumbnail
from leukopy.synthesis import draw_cell


def share(picture: Image.Image) -> float:
    """Longest side of the cell, in sides of the picture."""
    rows, columns = box(find_cell(np.asarray(picture)))
    return max((rows.stop - rows.start) / picture.height, (columns.stop - columns.start) / picture.width)


def opened(path: Path, side: int, cropped: bool) -> Image.Image:
    return Image.open(BytesIO(thumbnail(path, side, cropped))).convert("RGB")


@pytest.mark.parametrize("code", ["LY", "MO"])
def test_a_cropped_picture_shows_the_cell_large(tmp_path: Path, code: str) -> None:
    path = tmp_path / "cell.png"
    Image.fromarray(draw_cell(code, seed=1).image).save(path)
    whole, cropped = opened(path, 160, False), opened(path, 160, True)
    assert max(whole.size) == 160 > max(cropped.size)  # never enlarged
    assert share(cropped) > 1.2 * share(whole)


def test_a_picture_without_a_cell_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "glass.png"
    Image.new("RGB", (200, 100), (230, 228, 232)).save(path)
    assert opened(path, 160, True).size == opened(path, 160, False).size == (160, 80)
