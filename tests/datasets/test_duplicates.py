"""The same cell is found whatever was done to its picture; different cells are not taken for one."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from leukopy.datasets.duplicates import (
    MAX_DISTANCE,
    MAX_SHIFT,
    _candidates,
    _similarity,
    clusters,
    find_duplicates,
    grey,
    perceptual_hash,
)

Picture = NDArray[np.uint8]
Draw = Callable[..., Picture]
DIFFERENT = 300


def thumbnail(pixels: Picture) -> Picture:
    return grey(np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)))


def names(count: int) -> list[str]:
    return [f"digest {number}" for number in range(count)]


@pytest.fixture
def many(draw: Draw) -> Picture:
    """Thumbnails of different pictures, shape (300, 32, 32)."""
    return np.stack([thumbnail(draw(seed, 64, 64)) for seed in range(DIFFERENT)])


def jpeg(pixels: Picture) -> Picture:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def smaller(pixels: Picture) -> Picture:
    return np.asarray(Image.fromarray(pixels).resize((44, 44), Image.Resampling.LANCZOS))


def darker(pixels: Picture) -> Picture:
    return (pixels * 0.6).astype(np.uint8)


def redder(pixels: Picture) -> Picture:
    return np.clip(pixels * np.array([1.2, 0.9, 0.8]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [jpeg, smaller, darker, redder])
def test_a_changed_copy_is_found_among_others(change: Callable[[Picture], Picture], many: Picture, draw: Draw) -> None:
    again = thumbnail(change(draw(17, 64, 64)))
    found = find_duplicates(names(DIFFERENT + 1), np.concatenate([many, again[None]]))
    assert found.select("a", "b", "kind").rows() == [(17, DIFFERENT, "near")]
    assert found["similarity"][0] > 0.9


def test_a_cell_that_moved_in_the_picture_is_found(draw: Draw) -> None:
    whole = draw(5, 80, 80)
    first, second = thumbnail(whole[4:68, 4:68]), thumbnail(whole[7:71, 2:66])
    assert find_duplicates(names(2), np.stack([first, second])).select("a", "b").rows() == [(0, 1)]


def test_different_pictures_are_not_taken_for_one(many: Picture) -> None:
    assert find_duplicates(names(DIFFERENT), many).is_empty()


def test_copies_are_paired_with_the_first_of_them_only(many: Picture, draw: Draw) -> None:
    darker_five = thumbnail(darker(draw(5, 64, 64)))
    thumbnails = np.concatenate([many[:10], many[5:6], many[5:6], darker_five[None]])
    digests = [*names(10), "digest 5", "digest 5", "another"]
    found = find_duplicates(digests, thumbnails)
    assert found.select("a", "b", "kind").rows() == [(5, 10, "exact"), (5, 11, "exact"), (5, 12, "near")]


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_have_no_duplicates(count: int) -> None:
    assert find_duplicates(names(count), np.zeros((count, 32, 32), np.uint8)).is_empty()


def test_plain_pictures_have_no_detail_to_be_alike_in() -> None:
    plain = np.stack([np.full((32, 32), value, np.uint8) for value in (10, 200)])
    assert find_duplicates(names(2), plain).is_empty()


def test_candidates_are_those_of_the_literal_comparison() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 400, dtype=np.uint64)
    hashes[200:] = hashes[:200] ^ np.uint64(0b1011)
    literal = [
        (a, b) for a in range(400) for b in range(a + 1, 400) if int(hashes[a] ^ hashes[b]).bit_count() <= MAX_DISTANCE
    ]
    assert sorted(map(tuple, _candidates(hashes).tolist())) == literal
    assert len(literal) >= 200


def test_the_hash_is_blind_to_brightness(many: Picture) -> None:
    assert np.array_equal(perceptual_hash(many // 2), perceptual_hash(many // 2 + 40))
    assert len(set(perceptual_hash(many).tolist())) == DIFFERENT


def test_the_hash_is_that_of_the_literal_cosine_transform(many: Picture) -> None:
    low = dctn(many.astype(float), axes=(1, 2))[:, :8, :8].reshape(DIFFERENT, 64)[:, 1:]
    literal = [
        sum(1 << (62 - bit) for bit in range(63) if frequencies[bit] > np.median(frequencies)) for frequencies in low
    ]
    ours = perceptual_hash(many).byteswap()  # bits are packed from the left
    agree = sum((int(a) ^ b).bit_count() == 0 for a, b in zip(ours, literal, strict=True))
    assert agree >= DIFFERENT - 1, "but for rounding"


def test_the_similarity_is_the_correlation_of_what_a_blur_leaves(draw: Draw) -> None:
    moved = [
        thumbnail(draw(3, 64, 64)),
        np.roll(thumbnail(draw(3, 64, 64)), (2, -1), axis=(0, 1)),
        thumbnail(draw(4, 64, 64)),
    ]
    detail = [
        image
        - gaussian_filter(image.astype(float), 2, mode="constant")
        / gaussian_filter(np.ones((32, 32)), 2, mode="constant")
        for image in moved
    ]
    literal = [
        max(
            np.corrcoef(detail[0].ravel(), np.roll(detail[other], (down, right), axis=(0, 1)).ravel())[0, 1]
            for down in range(-MAX_SHIFT, MAX_SHIFT + 1)
            for right in range(-MAX_SHIFT, MAX_SHIFT + 1)
        )
        for other in (1, 2)
    ]
    assert _similarity(np.stack(moved), np.array([[0, 1], [0, 2]])) == pytest.approx(literal, abs=2e-3)


def test_clusters_join_what_hangs_together_through_others() -> None:
    links = np.array([[0, 3], [3, 5]]), np.array([[1, 2]])
    found = clusters(7, *links)
    assert found[0] == found[3] == found[5]
    assert found[1] == found[2]
    assert len(set(found.tolist())) == 4
    assert clusters(0).tolist() == []
