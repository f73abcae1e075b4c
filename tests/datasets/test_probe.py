"""A look tells size and digest, and finds what cannot be read, in the words of all commands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.datasets import probe_file

Draw = Callable[..., NDArray[np.uint8]]


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("pixels", [True, False])
def test_size_and_digest_are_those_of_the_file(tmp_path: Path, draw: Draw, kind: str, pixels: bool) -> None:
    path = tmp_path / f"cell.{kind}"
    Image.fromarray(draw(0, 40, 48)).save(path)
    seen = probe_file(path, pixels=pixels)
    assert (seen.width, seen.height) == (48, 40)
    assert seen.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (None if seen.thumbnail is None else seen.thumbnail.shape) == ((32, 32) if pixels else None)


def make_absent(path: Path) -> None:
    """Leave nothing there."""


def make_empty(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text("This is a letter to the laboratory, not a picture of a cell.")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_tiny(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path)


def make_gif(path: Path) -> None:
    Image.new("RGB", (40, 40)).save(path, "GIF")


def make_stack(path: Path) -> None:
    Image.new("RGB", (40, 40)).save(path, "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 40))])


def make_huge(path: Path) -> None:
    Image.new("1", (9_000, 8_000)).save(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_absent, "not_found"),
        (make_empty, "empty_file"),
        (make_text, "not_an_image"),
        (make_folder, "is_a_folder"),
        (make_tiny, "too_small"),
        (make_gif, "unsupported_format"),
        (make_huge, "too_large"),
        (make_stack, "several_pages"),
    ],
)
@pytest.mark.parametrize("pixels", [True, False])
def test_what_cannot_be_read_has_a_reason(
    tmp_path: Path, make: Callable[[Path], None], reason: str, pixels: bool
) -> None:
    make(tmp_path / "cell.png")
    with pytest.raises(ImageError, match=r"cell\.png") as caught:
        probe_file(tmp_path / "cell.png", pixels=pixels)
    assert caught.value.reason == reason


def test_only_decoding_finds_a_truncated_file(tmp_path: Path, draw: Draw) -> None:
    path = tmp_path / "cell.jpg"
    Image.fromarray(draw(0, 200, 200)).save(path)
    path.write_bytes(path.read_bytes()[:-1500])
    assert probe_file(path, pixels=False).width == 200
    with pytest.raises(ImageError) as caught:
        probe_file(path, pixels=True)
    assert caught.value.reason == "truncated"
