"""Drawn cells: truth, sizes, shapes and colours of every class."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from leukopy.core.errors import SettingsError
from leukopy.synthesis import PBC_LIKE, DrawnCell, draw_cell, random_appearance
from leukopy.taxonomy import FINE

CODES = [cell.code for cell in FINE]

# Diameters on a smear in micrometres: Carr & Rodak, Clinical Hematology Atlas (platelets 2-4; 4-6 measured on PBC).
TEXTBOOK_UM = {
    "SNE": (10, 15), "BNE": (10, 15), "EO": (12, 17), "BA": (10, 14), "LY": (7, 18), "MO": (12, 20),
    "MMY": (10, 15), "MY": (12, 18), "PMY": (14, 24), "ERB": (8, 12), "PLT": (2, 6),
}  # fmt: skip

# Median optical density of nuclei (red, green, blue light), measured on 30 training images of each class of PBC.
PBC_NUCLEI = {
    "SNE": (0.56, 0.90, 0.19), "BNE": (0.54, 0.87, 0.19), "EO": (0.54, 0.84, 0.19), "LY": (0.51, 0.82, 0.20),
    "MO": (0.48, 0.82, 0.17), "MMY": (0.52, 0.85, 0.19), "MY": (0.50, 0.83, 0.18), "PMY": (0.50, 0.82, 0.19),
    "ERB": (0.60, 0.87, 0.23),
}  # fmt: skip


@cache
def drawn(code: str) -> list[DrawnCell]:
    """Twelve cells of a class, drawn once for all tests."""
    return [draw_cell(code, seed=seed, size=224) for seed in range(12)]


def diameter_um(mask: np.ndarray, um_per_px: float) -> float:
    """Of the disc of the same area."""
    return float(2 * np.sqrt(mask.sum() / np.pi) * um_per_px)


def nuclear_share(code: str) -> float:
    """Median area of the nucleus over that of the cell."""
    return float(np.median([cell.nucleus_mask.sum() / cell.cell_mask.sum() for cell in drawn(code)]))


def optical_density(cell: DrawnCell, where: np.ndarray) -> np.ndarray:
    """Median optical density of some pixels against the empty glass, in red, green and blue."""
    pixels = np.maximum(cell.image[where].astype(float), 1)
    return np.median(-np.log10(pixels / np.array(PBC_LIKE.background)), axis=0)


def lobes(cell: DrawnCell) -> int:
    """Parts into which the nucleus falls when half a micrometre is taken off its edge."""
    depth = ndimage.distance_transform_edt(cell.nucleus_mask) * cell.um_per_px
    _, count = ndimage.label(depth > 0.5)
    return int(count)


@settings(max_examples=60)
@given(st.sampled_from(CODES), st.integers(0, 2**32), st.sampled_from([32, 64, 97, 200]), st.booleans())
def test_truth_is_whole_whatever_is_drawn(code, seed, size, foreign):
    cell = draw_cell(code, seed=seed, size=size, appearance=random_appearance(seed) if foreign else None)
    left, top, right, bottom = cell.box
    assert cell.image.shape == (size, size, 3)
    assert cell.image.dtype == np.uint8
    assert cell.code == code
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size
    inside = np.zeros_like(cell.cell_mask)
    inside[top:bottom, left:right] = True
    assert not (cell.cell_mask & ~inside).any()
    assert cell.cell_mask[top:bottom, left].any()
    assert cell.cell_mask[top, left:right].any()
    assert cell.cell_mask[bottom - 1, left:right].any()
    assert cell.cell_mask[top:bottom, right - 1].any()
    assert not (cell.nucleus_mask & ~cell.cell_mask).any()
    assert cell.nucleus_mask.any() == (code != "PLT")
    assert cell.cell_mask[size // 2 - 4 : size // 2 + 4, :].any(), "the cell is not in the middle"


@pytest.mark.parametrize("code", CODES)
def test_size_is_the_textbooks(code):
    low, high = TEXTBOOK_UM[code]
    sizes = [diameter_um(cell.cell_mask, cell.um_per_px) for cell in drawn(code)]
    assert low * 0.97 <= min(sizes)
    assert max(sizes) <= high * 1.03


def test_red_cell_spans_as_many_pixels_as_in_pbc():
    assert 7.5 / PBC_LIKE.um_per_px == pytest.approx(75, abs=1)  # measured on PBC's training images at 360 px


def test_size_in_pixels_does_not_change_what_is_seen():
    small, large = (draw_cell("LY", seed=5, size=size) for size in (120, 360))
    assert small.um_per_px == pytest.approx(3 * large.um_per_px)
    share = [cell.cell_mask.mean() for cell in (small, large)]
    assert share[0] == pytest.approx(share[1], rel=0.05)


def test_nucleus_fills_the_lymphocyte_more_than_the_monocyte_and_matures_by_shrinking():
    assert nuclear_share("LY") > nuclear_share("PMY") > nuclear_share("MO") > nuclear_share("SNE")
    assert nuclear_share("PMY") > nuclear_share("MY") > nuclear_share("BNE")
    assert nuclear_share("LY") > 0.65
    assert nuclear_share("ERB") < 0.5


def test_segmented_nuclei_have_two_to_five_lobes_and_bands_one():
    counts = [lobes(draw_cell("SNE", seed=seed, size=200)) for seed in range(40)]
    assert sum(2 <= count <= 5 for count in counts) >= 38  # lobes lying side by side may run together
    assert set(counts) >= {2, 3, 4}
    assert max(set(counts), key=counts.count) == 3
    for code in ("BNE", "LY", "MMY", "MY", "PMY", "ERB"):
        assert [lobes(cell) for cell in drawn(code)] == [1] * 12, code
    assert sum(lobes(cell) == 2 for cell in drawn("EO")) >= 5


def test_indentation_tells_band_metamyelocyte_and_myelocyte_apart():
    def solidity(code: str) -> float:
        filled = []
        for cell in drawn(code):
            points = np.argwhere(cell.nucleus_mask)
            filled.append(len(points) / convex_area(points))
        return float(np.median(filled))

    assert solidity("BNE") < 0.82 < solidity("MMY") < 0.93 < solidity("MY")


def convex_area(points: np.ndarray) -> float:
    """Pixels of the convex hull of pixels."""
    from scipy.spatial import ConvexHull

    corners = np.concatenate([points + offset for offset in ([0, 0], [0, 1], [1, 0], [1, 1])])
    return float(ConvexHull(corners).volume)


def test_eosinophils_are_the_reddest_and_lymphocytes_bluer():
    def redness(code: str) -> float:
        """Green light absorbed over red light absorbed, in the cytoplasm."""
        ratios = []
        for cell in drawn(code):
            rim = ndimage.binary_erosion(cell.cell_mask, iterations=2)
            rim &= ~ndimage.binary_dilation(cell.nucleus_mask, iterations=3)
            if rim.sum() > 20:
                red, green, _ = optical_density(cell, rim)
                ratios.append(green / red)
        return float(np.median(ratios))

    assert redness("EO") > 1.8
    assert redness("EO") > redness("SNE") > redness("MO")
    assert redness("LY") < 1.25


@pytest.mark.parametrize("code", PBC_NUCLEI)
def test_nuclei_absorb_as_in_pbc(code):
    density = np.median([optical_density(cell, cell.nucleus_mask) for cell in drawn(code)], axis=0)
    assert density == pytest.approx(PBC_NUCLEI[code], rel=0.15, abs=0.02)


def test_granules_cover_the_nucleus_of_a_basophil():
    for cell in drawn("BA"):
        dark = cell.image[..., 1] < 70
        cytoplasm = cell.cell_mask & ~cell.nucleus_mask
        assert 0.1 < dark[cytoplasm].mean() < 0.95
        assert dark[cell.nucleus_mask].mean() > 0.3


@pytest.mark.parametrize("code", CODES)
def test_same_seed_same_pixels_another_seed_others(code):
    first, again, other = (draw_cell(code, seed=seed, size=96) for seed in (4, 4, 5))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.cell_mask, again.cell_mask)
    assert not np.array_equal(first.image, other.image)
    assert not np.array_equal(first.cell_mask, other.cell_mask)


def test_order_of_drawing_does_not_matter():
    """The cached textures must not carry anything from one cell to the next."""
    alone = draw_cell("PMY", seed=9, size=128).image.copy()
    draw_cell("BA", seed=1, size=300)
    assert np.array_equal(draw_cell("PMY", seed=9, size=128).image, alone)


@pytest.mark.parametrize("code", ["NEU", "IG", "BLAST", "", "sne"])
def test_what_is_no_fine_class_is_refused(code):
    with pytest.raises(SettingsError, match="SNE, BNE"):
        draw_cell(code, seed=1)
