"""Contact sheets."""

from __future__ import annotations

import numpy as np

from leukopy.synthesis import contact_sheet


def flat(level: int) -> np.ndarray:
    return np.full((60, 60, 3), level, dtype=np.uint8)


def test_rows_follow_the_differential_whatever_the_order_given():
    sheet = contact_sheet({"PLT": [flat(10)], "SNE": [flat(200), flat(100)], "LY": []}, tile=40)
    assert sheet.shape[0] == 2 * 44 + 4
    right = sheet[:, 190:, 0]
    assert right[20, 20] == 200
    assert right[20, 64] == 100
    assert right[64, 20] == 10
    assert right[64, 64] == 255
