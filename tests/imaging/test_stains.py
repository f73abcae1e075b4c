"""Deconvolution finds the amounts that were mixed; the normalisations do what their papers write."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab, separate_stains

from leukopy.core.errors import InputError, SettingsError
from leukopy.imaging.stains import (
    STAIN_NAMES,
    STAIN_VECTORS,
    Macenko,
    Reinhard,
    deconvolve,
    density_against_glass,
    glass,
)
from leukopy.synthesis import draw_cell, random_appearance

Picture = NDArray[np.uint8]

FLAT: dict[str, Picture] = {
    "white": np.full((20, 24, 3), 255, dtype=np.uint8),
    "black": np.zeros((20, 24, 3), dtype=np.uint8),
    "pink": np.full((20, 24, 3), (230, 150, 170), dtype=np.uint8),
}


@pytest.fixture(scope="module")
def cell() -> Picture:
    return draw_cell("EO", seed=3, size=60).image


@pytest.fixture(scope="module")
def other_laboratory() -> Picture:
    return draw_cell("SNE", seed=4, size=60, appearance=random_appearance(11)).image


@pytest.mark.parametrize("stains", sorted(STAIN_VECTORS))
def test_deconvolution_gives_back_the_amounts_that_were_mixed(stains: str) -> None:
    nuclear, eosin = (np.array(vector) / np.linalg.norm(vector) for vector in STAIN_VECTORS[stains])
    amounts = np.zeros((8, 8, 2))  # its lower half is empty glass
    amounts[:4, :, 0] = np.linspace(0, 0.9, 8)
    amounts[:4, :, 1] = np.linspace(0, 0.5, 4)[:, None]
    glass = np.array([240, 220, 200])
    density = amounts[..., :1] * nuclear + amounts[..., 1:] * eosin
    picture = np.rint(glass * 10**-density).astype(np.uint8)
    found = deconvolve(picture, stains)  # type: ignore[arg-type]
    assert found.shape == (8, 8, len(STAIN_NAMES))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., :2], amounts, atol=0.03)
    assert found[..., 2].max() < 0.03


def test_giemsa_is_the_vector_that_landini_published() -> None:
    from skimage.color import rgb_from_bex

    np.testing.assert_allclose(STAIN_VECTORS["giemsa"], rgb_from_bex[:2], rtol=1e-9)


def test_a_colour_cast_does_not_change_the_densities(cell: Picture) -> None:
    cast = np.array([0.9, 0.7, 0.8])
    np.testing.assert_allclose(
        density_against_glass(np.rint(cell * cast).astype(np.uint8)), density_against_glass(cell), atol=0.03
    )


def literal_reinhard(picture: Picture, target: Picture) -> NDArray[np.float64]:
    """Equations 10 and 11 of the paper, pixel by pixel; the CIELAB values wanted."""
    source, wanted = rgb2lab(picture), rgb2lab(target)
    result = np.zeros_like(source)
    for axis in range(3):
        mean, deviation = np.mean(source[..., axis]), np.std(source[..., axis])
        for row, column in np.ndindex(picture.shape[:2]):
            starred = source[row, column, axis] - mean
            scaled = np.std(wanted[..., axis]) / deviation * starred
            result[row, column, axis] = scaled + np.mean(wanted[..., axis])
    return result


def test_reinhard_against_its_paper(cell: Picture, other_laboratory: Picture) -> None:
    ours = rgb2lab(Reinhard.fit([other_laboratory])(cell))
    wanted = literal_reinhard(cell, other_laboratory)
    # Not every CIELAB value has a colour in 8 bits: those that have none are left out.
    shown = ((lab2rgb(wanted) > 0.01) & (lab2rgb(wanted) < 0.99)).all(axis=-1)
    assert shown.mean() > 0.3
    assert np.abs(ours - wanted)[shown].max() < 1


def test_reinhard_brings_its_own_source_back_unchanged(cell: Picture) -> None:
    assert np.abs(Reinhard.fit([cell])(cell).astype(int) - cell).max() <= 1


def literal_macenko(picture: Picture, target: Picture) -> NDArray[np.float64]:
    """The five steps of the paper's section 2, with loops; the grey levels wanted, before they are rounded."""

    def densities(image: Picture) -> NDArray[np.float64]:
        return np.array([[-np.log10((float(level) + 1) / 256) for level in pixel] for pixel in image.reshape(-1, 3)])

    def stains(density: NDArray[np.float64]) -> NDArray[np.float64]:
        kept = np.array([pixel for pixel in density if min(pixel) >= 0.15])
        _, _, directions = np.linalg.svd(kept, full_matrices=False)
        first, second = (direction if direction.sum() > 0 else -direction for direction in directions[:2])
        angles = [np.arctan2(pixel @ second, pixel @ first) for pixel in kept]
        pair = [np.cos(a) * first + np.sin(a) * second for a in np.percentile(angles, [1, 99])]
        return np.array(sorted(pair, key=lambda vector: -vector[0]))

    def amounts(density: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.linalg.lstsq(vectors.T, pixel, rcond=None)[0] for pixel in density])

    source, wanted = densities(picture), densities(target)
    own, theirs = stains(source), stains(wanted)
    mixed = amounts(source, own)
    strength = np.percentile(amounts(wanted, theirs), 99, axis=0) / np.percentile(mixed, 99, axis=0)
    return (256 * 10 ** -((mixed * strength) @ theirs) - 1).reshape(picture.shape)


def test_macenko_against_its_paper(cell: Picture, other_laboratory: Picture) -> None:
    ours = Macenko.fit([other_laboratory])(cell)
    wanted = np.clip(literal_macenko(cell, other_laboratory), 0, 255)
    assert np.abs(ours - wanted).max() < 0.51


def test_macenko_brings_the_looks_of_two_laboratories_together(cell: Picture, other_laboratory: Picture) -> None:
    look = Macenko.fit([other_laboratory])
    before, after = Macenko.fit([cell]), Macenko.fit([look(cell)])
    assert np.abs(np.subtract(after.stains, look.stains)).max() < 0.1
    assert np.abs(np.subtract(before.stains, look.stains)).max() > 0.15


@pytest.mark.parametrize("kind", [Reinhard, Macenko])
@pytest.mark.parametrize("name", FLAT)
def test_a_flat_picture_comes_back_unharmed(
    kind: type[Reinhard] | type[Macenko], name: str, other_laboratory: Picture
) -> None:
    picture = FLAT[name]
    normalised = kind.fit([other_laboratory])(picture)
    np.testing.assert_array_equal(normalised, picture)
    assert normalised is not picture
    assert np.isfinite(deconvolve(picture)).all()


@pytest.mark.parametrize("kind", [Reinhard, Macenko])
def test_looks_are_settings_that_can_be_kept_in_a_file(
    kind: type[Reinhard] | type[Macenko], cell: Picture, other_laboratory: Picture
) -> None:
    look = kind.fit([other_laboratory, cell])
    assert kind.build(look.model_dump(mode="json")) == look
    with pytest.raises(SettingsError, match="strange"):
        kind.build({**look.model_dump(), "strange": 1})


@pytest.mark.parametrize("kind", [Reinhard, Macenko])
def test_a_look_needs_a_picture(kind: type[Reinhard] | type[Macenko]) -> None:
    with pytest.raises(InputError, match="Give"):
        kind.fit([])


def test_macenko_needs_something_stained() -> None:
    with pytest.raises(InputError, match="stained"):
        Macenko.fit([FLAT["white"]])


@pytest.mark.parametrize("seed", range(4))
def test_glass_is_the_median_of_the_brightest_quarter(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (17 + seed, 23, 3), dtype=np.uint8)
    brightness = picture.sum(axis=2, dtype=np.int64)
    expected = np.median(picture[brightness >= np.percentile(brightness, 75)], axis=0)
    np.testing.assert_array_equal(glass(picture), expected)


@pytest.mark.parametrize("stains", sorted(STAIN_VECTORS))
def test_deconvolution_is_that_of_scikit_image(cell: Picture, stains: str) -> None:
    nuclear, eosin = (np.array(vector) / np.linalg.norm(vector) for vector in STAIN_VECTORS[stains])
    residual = np.cross(nuclear, eosin)
    matrix = np.linalg.inv([nuclear, eosin, residual / np.linalg.norm(residual)])
    neutral = np.clip((cell + 1.0) / (glass(cell) + 1.0), 0, 1)
    np.testing.assert_allclose(deconvolve(cell, stains), 6 * separate_stains(neutral, matrix), atol=1e-5)
