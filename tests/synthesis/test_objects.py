"""Truth of drawn fields, kind by kind, against pixels and literal computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.synthesis import PBC_LIKE, DrawnField, Scene, draw_field, draw_random_field, random_scene
from leukopy.synthesis.canvas import Canvas
from leukopy.synthesis.paint import INDEX, paint_cell
from leukopy.synthesis.platelets import paint_clump
from leukopy.synthesis.redshapes import SHAPES, RedStyle, paint_shape
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, PLATELET_CLUMP, RED_CELL, RED_CELL_UM


def of(field: DrawnField, kind: str) -> list:
    return [each for each in field.objects if each.kind == kind]


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_every_box_lies_on_the_field(seed):
    field = draw_random_field(seed, size=(200, 260))
    assert field.image.shape == (200, 260, 3)
    assert 0.08 <= field.um_per_px <= 0.35
    for each in (*field.objects, *field.distractors):
        assert 0 <= each.left < each.left + each.width <= 260
        assert 0 <= each.top < each.top + each.height <= 200
        assert 0 <= each.visible <= 1
        at_border = each.left == 0 or each.top == 0 or each.left + each.width == 260 or each.top + each.height == 200
        assert at_border or not each.cut
    assert {each.kind for each in field.objects} <= set(OBJECTS)


def test_boxes_of_red_cells_hold_haemoglobin_and_the_rest_is_glass():
    field = draw_field({"LY": 1}, seed=2, size=(480, 640), scene=Scene(coverage=0.3, platelets=0, cut=False))
    red_cells = of(field, RED_CELL)
    assert len(red_cells) > 10
    glass = np.ones(field.image.shape[:2], dtype=bool)
    for each in field.objects:
        glass[max(each.top - 6, 0) : each.top + each.height + 6, max(each.left - 6, 0) : each.left + each.width + 6] = 0
    background = np.median(field.image[glass], axis=0)
    assert background == pytest.approx(PBC_LIKE.background, abs=8)
    assert field.image[glass][:, 1].min() > background[1] - 20
    for each in red_cells:
        inside = field.image[each.top : each.top + each.height, each.left : each.left + each.width, 1]
        assert np.percentile(inside, 30) < background[1] - 20, each


@pytest.mark.parametrize("seed", range(4))
def test_truth_of_overlap_equals_a_literal_computation(seed):
    rng = np.random.default_rng(seed)
    canvas = Canvas(120, 160, 0.3)
    planes = []
    for number in range(14):
        row, column = rng.integers(-5, 125), rng.integers(-5, 165)
        if number < 9:
            patch = paint_shape("normal", RedStyle(), 0.3, rng)
            canvas.lay_red_cell("normal", patch, row, column, RED_CELL)
            mask, opaque = patch.mask, False
        else:
            painted = paint_cell("LY" if number % 2 else "PLT", 0.3, rng)
            canvas.lay(LEUKOCYTE, "LY", painted, row, column)
            mask, opaque = painted.cell > 0.5, True
        large = np.zeros((400, 400), dtype=bool)
        half = len(mask) // 2
        large[120 + row - half : 120 + row + half + 1, 120 + column - half : 120 + column + half + 1] = mask
        planes.append((large, opaque))
    picture = (slice(120, 240), slice(120, 280))
    expected = []
    for number, (plane, _) in enumerate(planes):
        shown = plane[picture]
        if not shown.any():
            continue
        others = [other[picture] for index, (other, _) in enumerate(planes) if index != number]
        above = [other[picture] for other, opaque in planes[number + 1 :] if opaque]
        hidden = np.logical_or.reduce(above) if above else np.zeros_like(shown)
        rows, columns = np.nonzero(shown)
        expected.append(
            (
                columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1,
                shown.sum() < plane.sum(),
                any((shown & other).any() for other in others),
                pytest.approx((shown & ~hidden).sum() / plane.sum()),
            )
        )  # fmt: skip
    found = [
        (each.left, each.top, each.width, each.height, each.cut, each.overlapping, each.visible)
        for each in canvas.truth()
    ]
    assert found == expected


def test_light_passes_through_both_of_two_red_cells():
    rng = np.random.default_rng(1)
    canvas = Canvas(60, 80, 0.2)
    patch = paint_shape("spherocyte", RedStyle(), 0.2, rng)
    for column in (30, 50):
        canvas.lay_red_cell("spherocyte", patch, 30, column, RED_CELL)
    haemoglobin = canvas.amounts[INDEX["haemoglobin"]]
    assert haemoglobin[30, 40] > 1.4 * haemoglobin[30, 27]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_drawn_as_they_are_called(shape):
    rng = np.random.default_rng(3)
    patches = [paint_shape(shape, RedStyle(waviness=0.02, spread=0.0), 0.1, rng) for _ in range(20)]
    diameter = np.median([2 * np.sqrt(patch.mask.sum() / np.pi) * 0.1 for patch in patches]) / RED_CELL_UM
    middle = np.median([patch.haemoglobin[len(patch.mask) // 2, len(patch.mask) // 2] for patch in patches])
    thick = np.median([patch.haemoglobin.max() for patch in patches])
    aspects = [np.linalg.eigvalsh(np.cov(np.argwhere(patch.mask).T)) for patch in patches]
    aspect = np.median([np.sqrt(large / small) for small, large in aspects])
    assert all(patch.mask.any() and not patch.mask[0].any() and not patch.mask[:, 0].any() for patch in patches)
    assert (diameter > 1.15) == (shape == "macrocyte")
    assert (aspect > 1.65) == (shape == "elliptocyte")
    if shape in ("microcyte", "schistocyte", "spherocyte"):
        assert diameter < 0.9
    if shape in ("normal", "hypochromia", "stomatocyte"):
        assert middle < 0.85 * thick
    if shape == "hypochromia":
        assert middle < 0.3
    if shape == "target":
        assert middle > 0.7 * thick


def test_clump_is_one_object_of_many_platelets():
    rng = np.random.default_rng(5)
    single, clump = (
        np.mean([(paint(rng).cell > 0.5).sum() for _ in range(6)])
        for paint in (lambda rng: paint_cell("PLT", 0.1, rng), lambda rng: paint_clump(0.1, rng))
    )
    assert clump > 3 * single
    field = draw_random_field(1, scene=Scene(clumps=2, platelets=0.1), um_per_px=0.15)
    assert len(of(field, PLATELET_CLUMP)) == 2
    assert of(field, PLATELET)


def test_levels_act():
    def red_cells(**conditions) -> list:
        return of(draw_random_field(7, um_per_px=0.2, scene=Scene(**conditions)), RED_CELL)

    def overlapping(cells: list) -> float:
        return float(np.mean([each.overlapping for each in cells]))

    assert red_cells(coverage=0.0) == []
    thin, thick = red_cells(coverage=0.15, apart=1.02), red_cells(coverage=1.1, apart=0.5)
    assert 3 * len(thin) < len(thick)
    assert (overlapping(thin) < 0.2, overlapping(thick) > 0.9) == (True, True)
    assert overlapping(red_cells(coverage=0.3, apart=1.02, rouleaux=1.0)) > 0.8
    assert {each.code for each in red_cells(shapes={"teardrop": 1.0, "burr": 1.0})} == {"teardrop", "burr"}


def test_distractors_are_listed_apart():
    scene = Scene(smudges=2, bare_nuclei=1, precipitate=0.8, folds=1, bubbles=3)
    field = draw_random_field(4, um_per_px=0.2, scene=scene)
    codes = {each.code for each in field.distractors}
    assert {"smudge_cell", "bare_nucleus", "fibre", "precipitate", "drop"} == codes
    assert all(each.kind == "distractor" for each in field.distractors)


def test_touching_leukocytes_touch():
    counts = {"SNE": 4, "LY": 4}
    apart, touching = (
        draw_field(counts, seed=3, size=(700, 900), scene=Scene(touching=share, platelets=0, coverage=0))
        for share in (0.0, 1.0)
    )
    assert not any(each.overlapping for each in apart.objects)
    assert sum(each.overlapping for each in touching.objects) >= 4


def test_blur_light_and_compression_leave_the_truth_alone():
    plain = draw_random_field(9, scene=Scene(), um_per_px=0.2)
    for conditions in (
        {"defocus_um": 0.8}, {"defocus_um": 0.8, "defocus_part": True}, {"vignette": 0.5}, {"jpeg_quality": 20},
        {"refraction": 1.0, "fringes": 0.5}, {"cast": 0.2},
    ):  # fmt: skip
        other = draw_random_field(9, scene=Scene(**conditions), um_per_px=0.2)
        assert other.objects == plain.objects
        assert not np.array_equal(other.image, plain.image)


def test_same_seed_same_field_and_every_zone_occurs():
    first, again, other = (draw_random_field(seed, size=(120, 160)) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert first.objects == again.objects
    assert not np.array_equal(first.image, other.image)
    assert {random_scene(seed).zone for seed in range(60)} == {"empty", "thin", "monolayer", "thick"}
