"""A detector that knows the truth of drawn fields, and windows of a large drawn field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leukopy.fields.detections import Detections
from leukopy.fields.field import Field
from leukopy.synthesis import DrawnField, ObjectTruth
from leukopy.taxonomy.objects import OBJECTS, RED_CELL_UM


class KnownFinder:
    """Finds what was drawn, by the pixels of the field; it counts its searches."""

    def __init__(self) -> None:
        self.searches = 0
        self._known: dict[bytes, Detections] = {}

    def add(self, pixels: NDArray[np.uint8], found: Detections) -> None:
        """Know the objects of a field."""
        self._known[pixels.tobytes()] = found

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        """The objects of a known field; none on any other."""
        self.searches += 1
        return self._known.get(field.pixels.tobytes(), Detections.none())


def detections(objects: Sequence[ObjectTruth], um_per_px: float | None) -> Detections:
    """The truth as a detector's findings."""
    boxes = np.array([(one.left, one.top, one.width, one.height) for one in objects], np.float32).reshape(-1, 4)
    kinds = np.array([OBJECTS.index(one.kind) for one in objects], np.int64)
    scores = np.linspace(0.99, 0.6, len(objects), dtype=np.float32)
    return Detections(boxes, kinds, scores, None if um_per_px is None else RED_CELL_UM / um_per_px)


def save_field(path: Path, drawn: DrawnField, finder: KnownFinder) -> Path:
    """Write a drawn field as PNG, known to ``finder``."""
    finder.add(drawn.image, detections(drawn.objects, drawn.um_per_px))
    return save_pixels(path, drawn.image)


def save_window(
    path: Path, drawn: DrawnField, finder: KnownFinder, left: int, top: int, size: tuple[int, int] = (480, 640)
) -> Path:
    """Write a window of a drawn field, with the boxes that a detector would find on it."""
    height, width = size
    pixels = drawn.image[top : top + height, left : left + width]
    whole = detections(drawn.objects, drawn.um_per_px)
    start = np.maximum(whole.boxes[:, :2] - (left, top), 0)
    end = np.minimum(whole.boxes[:, :2] + whole.boxes[:, 2:] - (left, top), (width, height))
    seen = ((end - start) > 3).all(axis=1)
    boxes = np.concatenate([start, end - start], axis=1)[seen]
    finder.add(pixels, Detections(boxes, whole.kinds[seen], whole.scores[seen], whole.red_cell_px))
    return save_pixels(path, pixels)


def save_pixels(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write pixels as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
    return path


@pytest.fixture
def known_finder(monkeypatch: pytest.MonkeyPatch) -> KnownFinder:
    """A detector that knows drawn fields, in place of the one that ships."""
    finder = KnownFinder()
    card = SimpleNamespace(name="truth", model=SimpleNamespace(sha256="0" * 64), thresholds={})
    monkeypatch.setattr("leukopy.bundle.detector.bundled_detectors", lambda: ["default"])
    monkeypatch.setattr("leukopy.bundle.detector.open_detector", lambda name: SimpleNamespace(card=card))
    monkeypatch.setattr("leukopy.workflows.fields_run.open_finder", lambda *names: finder)
    return finder
