"""Pictures with boxes in memory, all at one scale: a red cell measures the same number of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import InputError, TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.datasets.boxes import BOX_SOURCES
from leukopy.datasets.field_split import pictures
from leukopy.inference.workers import in_processes
from leukopy.synthesis import Scene, random_scene
from leukopy.synthesis.field import draw_random_field
from leukopy.taxonomy.objects import OBJECTS, RED_CELL, RED_CELL_UM
from leukopy.training.detector.points import boxes_of_points
from leukopy.training.detector.settings import BoxUse

HEADROOM = 8 / 7
"""Red cells in memory are this much larger than at the working scale, so that enlarged tiles stay sharp."""


_FINER = 1.5
"""Fields are drawn with this many times the pixels, and then reduced, as a camera's are."""


_MANY = (0.1, 0.5)
"""Platelets per red cell of a field with many."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """One picture in memory."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), RGB."""
    boxes: NDArray[np.float32]
    """(n, 4): left, top, width and height in its pixels."""
    kinds: NDArray[np.int64]
    """(n,): index in ``OBJECTS``; -1 - index where an object of this kind may or may not lie in the box."""
    complete: tuple[str, ...]
    """Kinds whose objects are all marked."""
    partial: tuple[str, ...]
    """Kinds of which some objects are marked."""


def load(use: BoxUse, split: str, red_cell_px: float, data: Path, progress: Progress = silent) -> list[Scaled]:
    """Read the pictures of a source and split, scaled to red cells of ``red_cell_px * HEADROOM`` pixels.

    Points become the boxes of the red cells that lie alone (`boxes_of_points`); the others are left out.

    Raises:
        InputError: a picture cannot be read.
        TrainingError: the split has none.
    """
    found = pictures(use.source, data, split)
    if not found:
        raise TrainingError(f"{use.source}: no pictures in its split {split}. Check LEUKOPY_DATA.")
    if use.pictures and len(found) > use.pictures:
        found = [found[int(place)] for place in np.linspace(0, len(found) - 1, use.pictures)]
    entry = BOX_SOURCES[use.source]
    width = red_cell_px * HEADROOM / entry.red_cell
    scaled: list[Scaled] = []
    with ThreadPoolExecutor(2) as pool:
        for pixels, factor in pool.map(lambda item: _read(data / item.file, width), found):
            boxes = found[len(scaled)].boxes
            sides = np.array([(box.left, box.top, box.width, box.height) for box in boxes], np.float32)
            kinds = np.array([_mark(box.kind, box.unsure) for box in boxes], np.int64)
            sides = sides.reshape(-1, 4) * factor
            if entry.points:
                sides = boxes_of_points(pixels, sides[:, :2], red_cell_px * HEADROOM)
                kinds = np.full(len(sides), OBJECTS.index(RED_CELL), np.int64)
            scaled.append(Scaled(pixels, sides, kinds, entry.complete, entry.partial))
            progress(f"read {use.source}, {split}", len(scaled), len(found))
    return scaled


def draw(
    fields: Sequence[int], red_cell_px: float, progress: Progress = silent, *, many_platelets: float = 0
) -> list[Scaled]:
    """Draw random fields, one for each seed, scaled as `load` scales pictures; in one process per core.

    Args:
        fields: their seeds.
        red_cell_px: diameter of a red cell at the working scale.
        progress: reports the fields.
        many_platelets: share of the fields with many platelets (`DrawnUse.many_platelets`).
    """
    tasks = ((place, seed, red_cell_px, many_platelets) for place, seed in enumerate(fields))
    drawn: dict[int, Scaled] = {}
    for place, field in in_processes(_draw, tasks, len(fields)):
        drawn[place] = field
        progress("draw fields", len(drawn), len(fields))
    return [drawn[place] for place in range(len(fields))]


def _draw(place: int, seed: int, red_cell_px: float, many_platelets: float) -> tuple[int, Scaled]:
    """Its place, and one field of `draw`."""
    scale = red_cell_px * HEADROOM / RED_CELL_UM
    field = draw_random_field(seed, um_per_px=1 / (_FINER * scale), scene=_scene(seed, many_platelets))
    high, wide = (round(side / _FINER) for side in field.image.shape[:2])
    pixels = np.asarray(Image.fromarray(field.image).resize((wide, high), Image.Resampling.BOX))
    marks = list(field.marks())
    boxes = np.array([box for _, box, _ in marks], np.float32).reshape(-1, 4) / _FINER
    kinds = [_mark(kind, unsure) for kind, _, unsure in marks]
    return place, Scaled(pixels, boxes, np.array(kinds, np.int64), OBJECTS, ())


def _scene(seed: int, many_platelets: float) -> Scene:
    """The scene of a random field, in a share of the fields with many platelets."""
    scene, rng = random_scene(seed), np.random.default_rng([seed, 32452843])
    many = rng.random() < many_platelets and scene.zone != "empty"
    return scene.model_copy(update={"platelets": float(rng.uniform(*_MANY))}) if many else scene


def _mark(kind: str, unsure: bool) -> int:
    """As in `Scaled.kinds`."""
    index = OBJECTS.index(kind)
    return -1 - index if unsure else index


def _read(path: Path, width: float) -> tuple[NDArray[np.uint8], float]:
    """The picture, ``width`` pixels wide, and the factor of its size."""
    try:
        with Image.open(path) as picture:
            own, _ = picture.size
            whole = picture.convert("RGB")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}). Check LEUKOPY_DATA.") from error
    factor = width / own
    size = (max(1, round(width)), max(1, round(whole.height * factor)))
    return np.asarray(whole.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC)), factor
