"""Objects found on one field."""

import numpy as np

from leukopy.fields.detections import Detections
from leukopy.taxonomy.objects import OBJECTS, PLATELET


def test_the_objects_of_one_kind_keep_their_order() -> None:
    boxes = np.arange(16, dtype=np.float32).reshape(4, 4)
    kinds = np.array([OBJECTS.index(kind) for kind in (PLATELET, "red_cell", PLATELET, "leukocyte")])
    found = Detections(boxes, kinds, np.array([0.9, 0.8, 0.7, 0.6], np.float32), 28.0)

    platelets = found.of(PLATELET)

    assert len(found) == 4
    assert platelets.boxes.tolist() == boxes[[0, 2]].tolist()
    assert np.allclose(platelets.scores, [0.9, 0.7])
    assert platelets.red_cell_px == 28.0
