"""Pictures of single red cells: place, scale and glass."""

import numpy as np

from leukopy.fields.red_cell_crops import CELL_PX, SIDE, cut_red_cells, recentre


def _field(radius: float, centre: tuple[int, int], glass: int = 200) -> np.ndarray:
    rows, columns = np.mgrid[:240, :320]
    inside = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2
    return np.where(inside[..., None], np.uint8(100), np.uint8(glass)).repeat(3, axis=2)


def test_a_cell_lies_in_the_middle_at_one_scale_whatever_the_magnification() -> None:
    for diameter in (24.0, 40.0, 64.0):
        (picture,) = cut_red_cells(_field(diameter / 2, (150, 100)), np.array([[150.0, 100.0]]), diameter)
        assert picture.shape == (SIDE, SIDE, 3)
        rows, columns = np.nonzero(picture[..., 1] < 170)
        assert abs(rows.mean() - SIDE / 2) < 1
        assert abs(columns.mean() - SIDE / 2) < 1
        assert abs(np.ptp(rows) + 1 - CELL_PX) <= 2


def test_the_glass_has_one_level() -> None:
    pictures = [cut_red_cells(_field(20, (150, 100), glass), np.array([[150.0, 100.0]]), 40) for glass in (150, 220)]
    assert [int(picture[0, 0, 0, 1]) for picture in pictures] == [240, 240]


def test_beyond_the_border_lies_glass() -> None:
    (picture,) = cut_red_cells(_field(20, (2, 100)), np.array([[2.0, 100.0]]), 40)
    assert (picture[:, :20] == 240).all()
    assert cut_red_cells(_field(20, (2, 100)), np.empty((0, 2)), 40).shape == (0, SIDE, SIDE, 3)


def test_points_move_to_the_middle_of_the_nearest_box_alone() -> None:
    boxes = np.array([(80, 80, 40, 40), (200, 80, 40, 40)], np.float32)
    points = np.array([[108.0, 94.0], [150.0, 100.0], [215.0, 100.0]])
    moved = recentre(points, boxes, 40)
    assert moved.tolist() == [[100, 100], [150, 100], [220, 100]]
    assert recentre(points, boxes[:0], 40).tolist() == points.tolist()
