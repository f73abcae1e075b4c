"""Order, names and ICSH grades of the shapes of red cells."""

import pytest

from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES, SHAPES, SIZE_SHAPES, shapes_digest

BY_NAME = {shape.name: shape for shape in SHAPES}


def test_each_number_of_rbc12_is_one_shape() -> None:
    assert [shape.rbc12 for shape in SHAPES] == list(range(len(SHAPES)))
    assert len(set(SHAPE_NAMES)) == len(SHAPES)
    assert set(SIZE_SHAPES) < set(SHAPE_NAMES)
    assert len(shapes_digest()) == 16


@pytest.mark.parametrize(
    ("name", "percent", "grade"),
    [
        ("teardrop", 4.9, ""), ("teardrop", 5, "2+"), ("teardrop", 20, "2+"), ("teardrop", 20.1, "3+"),
        ("macrocyte", 10, ""), ("macrocyte", 11, "2+"), ("hypochromic", 21, "3+"),
        ("schistocyte", 0, ""), ("schistocyte", 0.4, "1+"), ("schistocyte", 1, "2+"), ("schistocyte", 2.1, "3+"),
    ],
)  # fmt: skip
def test_grades_follow_the_table_of_the_icsh(name: str, percent: float, grade: str) -> None:
    grading = BY_NAME[name].grading
    assert grading is not None
    assert grading.grade(percent) == grade


def test_normal_cells_have_no_grade() -> None:
    assert BY_NAME["normal"].grading is None
    assert BY_NAME["uncategorised"].grading is None
