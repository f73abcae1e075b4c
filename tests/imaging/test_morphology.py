"""Measures of shapes whose measures are known, and that neither turning nor enlarging changes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import InputError
from leukopy.imaging.morphology import Morphology, lobes, morphology
from leukopy.imaging.segmentation import Masks
from leukopy.synthesis import draw_cell

SIDE = 160


def disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def measure(nucleus: NDArray[np.bool_], cell: NDArray[np.bool_]) -> Morphology:
    return morphology(np.zeros((*cell.shape, 3), dtype=np.uint8), Masks(nucleus, cell))


def test_a_round_nucleus_in_a_round_cell() -> None:
    found = measure(disc(80, 84, 20), disc(80, 80, 40))
    assert found.nucleus_area == pytest.approx(math.pi * 400, rel=0.01)
    assert found.cell_area == pytest.approx(math.pi * 1600, rel=0.01)
    assert found.nucleus_to_cell == pytest.approx(1 / 4, rel=0.01)
    assert found.nucleus_to_cytoplasm == pytest.approx(1 / 3, rel=0.01)
    assert found.cell_roundness == pytest.approx(1, abs=0.02)
    assert found.nucleus_roundness == pytest.approx(1, abs=0.02)
    assert found.nucleus_solidity == pytest.approx(1, abs=0.05)
    assert found.nucleus_lobes == 1


def test_a_square_is_less_round_than_a_disc() -> None:
    square = np.zeros((SIDE, SIDE), dtype=bool)
    square[40:120, 40:120] = True
    assert measure(square, square).cell_roundness == pytest.approx(math.pi / 4, abs=0.05)


def test_a_horseshoe_is_not_solid() -> None:
    ring = disc(80, 80, 40) & ~disc(80, 80, 22)
    horseshoe = ring & (np.arange(SIDE)[:, None] < 84)
    found = measure(horseshoe, disc(80, 80, 60))
    assert found.nucleus_solidity < 0.75
    assert found.nucleus_roundness < 0.5
    assert found.nucleus_lobes == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("bridged", [True, False])
def test_lobes_are_counted_with_and_without_bridges(count: int, bridged: bool) -> None:
    nucleus = np.zeros((SIDE, SIDE), dtype=bool)
    columns = [16 + 30 * index for index in range(count)]
    for index, column in enumerate(columns):
        nucleus |= disc(80, column, 12 if index % 2 else 9)
    if bridged:
        nucleus[78:83, columns[0] : columns[-1] + 1] = True
    assert lobes(nucleus) == count


def test_specks_are_no_lobes() -> None:
    assert lobes(disc(80, 80, 30) | disc(80, 120, 3)) == 1


def test_drawn_neutrophils_differ_by_their_lobes() -> None:
    segmented = [lobes(draw_cell("SNE", seed=seed, size=SIDE).nucleus_mask) for seed in range(6)]
    bands = [lobes(draw_cell("BNE", seed=seed, size=SIDE).nucleus_mask) for seed in range(6)]
    assert min(segmented) >= 2
    assert max(bands) == 1


@pytest.mark.parametrize("code", ["SNE", "MO", "LY"])
def test_shape_is_the_same_turned_and_enlarged(code: str) -> None:
    drawn = draw_cell(code, seed=9, size=240)
    before = measure(drawn.nucleus_mask, drawn.cell_mask)

    def changed(mask: NDArray[np.bool_], angle: float, side: int) -> NDArray[np.bool_]:
        grey = Image.fromarray((mask * 255).astype(np.uint8)).rotate(angle, Image.Resampling.BILINEAR)
        return np.asarray(grey.resize((side, side), Image.Resampling.BILINEAR)) > 127

    for angle, side in ((37, 240), (90, 480), (200, 360)):
        after = measure(changed(drawn.nucleus_mask, angle, side), changed(drawn.cell_mask, angle, side))
        scale = (side / 240) ** 2
        assert after.cell_area == pytest.approx(before.cell_area * scale, rel=0.02)
        assert after.nucleus_area == pytest.approx(before.nucleus_area * scale, rel=0.03)
        for name in ("nucleus_to_cell", "cell_roundness", "nucleus_roundness", "nucleus_solidity"):
            assert getattr(after, name) == pytest.approx(getattr(before, name), rel=0.05), name
        assert after.nucleus_lobes == before.nucleus_lobes


def test_without_a_nucleus_its_measures_are_not_numbers() -> None:
    nothing = np.zeros((SIDE, SIDE), dtype=bool)
    found = measure(nothing, disc(80, 80, 20))
    assert found.nucleus_area == 0
    assert found.nucleus_lobes == 0
    assert found.cell_roundness == pytest.approx(1, abs=0.03)
    ratios = (found.nucleus_to_cell, found.nucleus_to_cytoplasm, found.nucleus_roundness, found.nucleus_solidity)
    assert all(math.isnan(value) for value in ratios)


def test_without_a_cell_nothing_is_measured() -> None:
    nothing = np.zeros((SIDE, SIDE), dtype=bool)
    found = dataclasses.asdict(measure(nothing, nothing))
    assert found.pop("cell_area") == found.pop("nucleus_area") == found.pop("nucleus_lobes") == 0
    assert all(math.isnan(value) for value in found.values())


def test_a_cell_that_is_all_nucleus_has_no_ratio_to_its_cytoplasm() -> None:
    found = measure(disc(80, 80, 20), disc(80, 80, 20))
    assert math.isnan(found.nucleus_to_cytoplasm)
    assert found.nucleus_to_cell == 1


@pytest.mark.parametrize("pixels", [1, 2])
def test_specks_can_be_measured(pixels: int) -> None:
    speck = np.zeros((SIDE, SIDE), dtype=bool)
    speck[80, 80 : 80 + pixels] = True
    found = measure(speck, speck)
    assert found.cell_area == pixels
    assert 0 < found.cell_roundness <= 1
    assert found.nucleus_lobes == 1


def test_masks_of_another_size_are_refused() -> None:
    mask = disc(80, 80, 20)
    with pytest.raises(InputError, match="Segment it again"):
        morphology(np.zeros((SIDE, SIDE + 1, 3), dtype=np.uint8), Masks(mask, mask))
