"""Look-alikes among the station's own signed cells: similar, visible to the user alone, forgotten with an erasure."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.look_alikes import LookAlikes
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import EMBEDDINGS, ImageStore
from leukopy.synthesis import draw_cell

CODES = ("LY", "EO", "SNE")


def png(code: str, seed: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(draw_cell(code, seed=seed).image).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def test_the_nearest_is_of_the_same_kind(tmp_path: Path, images: ImageStore) -> None:
    settings = ReviewSettings(folder=tmp_path)
    signed = images.add(png(code, seed) for code in CODES for seed in (1, 2, 3))
    (wanted,) = images.add([png("EO", 9)])
    (broken,) = images.add([b"not an image"])
    found = LookAlikes(settings, images).find(wanted, [*signed, broken, wanted], 3)
    assert found.waiting == 0
    assert [index // 3 for index, _ in found.nearest] == [1, 1, 1]  # eosinophils; neither itself nor the broken one
    cosines = [similarity for _, similarity in found.nearest]
    assert cosines == sorted(cosines, reverse=True)
    again = LookAlikes(settings, images).find(wanted, signed, 3)  # from the file of the first
    assert [index for index, _ in again.nearest] == [index for index, _ in found.nearest]


def test_few_are_compared_at_a_time(tmp_path: Path, images: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leukopy.review.look_alikes.AT_ONCE", 2)
    look_alikes = LookAlikes(ReviewSettings(folder=tmp_path), images)
    signed = images.add(png("LY", seed) for seed in (1, 2, 3))
    (wanted,) = images.add([png("LY", 4)])
    assert [look_alikes.find(wanted, signed, 8).waiting for _ in range(2)] == [2, 0]
    assert len(look_alikes.find(wanted, signed, 8).nearest) == 3
    (file,) = (tmp_path / EMBEDDINGS).iterdir()
    file.unlink()  # as an erasure does
    assert look_alikes.find(wanted, signed, 8).waiting == 2
