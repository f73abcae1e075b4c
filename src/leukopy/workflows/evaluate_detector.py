"""Measure a detector on public pictures with boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    from leukopy.datasets.boxes import BoxedPicture
    from leukopy.evaluation.detection import Matched, Scores
    from leukopy.fields.detections import Detections
    from leukopy.fields.detector import Detector

LEAST_SCORE = 0.05
"""Objects of a lower score are not measured."""


class EvaluateDetectorSettings(Settings):
    """Settings of a detector's evaluation."""

    sources: tuple[str, ...] = ("txl_pbc", "txl_raabin", "txl_bccd", "txl_own")
    """Sources of boxes."""
    model: str = "default"
    """A bundled detector, or a bundle folder."""
    split: Literal["train", "val", "test", "all"] = "test"
    scale: Literal["found", "known"] = "found"
    """Red cells' diameter: measured on each picture, or the source's own."""
    false_per_picture: float = Field(default=0.1, gt=0)
    """Falsely found objects per picture at which recall is measured."""


@dataclass(frozen=True)
class SeenPicture:
    """What a source marks on one picture, and what a detector finds there."""

    source: str
    picture: BoxedPicture
    size: tuple[int, int]
    """Width and height."""
    found: Detections


def evaluate_detector(
    settings: EvaluateDetectorSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> dict[str, dict[str, Scores]]:
    """Measure a detector: scores by source (and over all) and kind of object. Writes ``scores.json``.

    Raises:
        BundleError: the detector cannot be opened.
        InputError: a picture cannot be read.
        OutputError: ``out`` holds something else.
    """
    from leukopy.bundle.detector import open_detector
    from leukopy.evaluation.detection import score
    from leukopy.fields.detector import Detector
    from leukopy.taxonomy.objects import OBJECTS

    run = record("evaluate detector", settings)
    begin(out, run, resume=False, overwrite=overwrite)
    detector = Detector(open_detector(settings.model), least=LEAST_SCORE)
    split = None if settings.split == "all" else settings.split
    seen = list(see(detector, settings.sources, split, known_scale=settings.scale == "known", progress=progress))
    found: dict[str, dict[str, Scores]] = {}
    for name in (*settings.sources, "all"):
        own = [each for each in seen if name in (each.source, "all")]
        found[name] = {
            kind: score(pictures, false_per_picture=settings.false_per_picture)
            for kind in OBJECTS
            if (pictures := matches(own, kind)) and sum(each.wanted for each in pictures)
        }
    counts = {name: count_error([each for each in seen if each.source == name], detector) for name in settings.sources}
    shown = {name: {kind: _shown(each) for kind, each in kinds.items()} for name, kinds in found.items()}
    write_json(out / "scores.json", {"scores": shown, "red_cell_count_error": counts})
    finish(out, run)
    return found


def see(
    detector: Detector, sources: Sequence[str], split: str | None, *, known_scale: bool, progress: Progress = silent
) -> Iterator[SeenPicture]:
    """Find the objects on the pictures of sources."""
    from leukopy.datasets.boxes import BOX_SOURCES
    from leukopy.datasets.field_split import pictures
    from leukopy.fields.field import FieldInput
    from leukopy.fields.read import read_field

    data = data_folder()
    listed = [(source, picture) for source in sources for picture in pictures(source, data, split)]

    def find(item: tuple[str, BoxedPicture]) -> SeenPicture:
        source, picture = item
        field = read_field(FieldInput(picture.file, str(data / picture.file)))
        high, wide = field.pixels.shape[:2]
        diameter = BOX_SOURCES[source].red_cell * wide if known_scale else None
        return SeenPicture(source, picture, (wide, high), detector.find_on(field.pixels, diameter))

    with ThreadPoolExecutor(2) as pool:
        for place, each in enumerate(pool.map(find, listed), start=1):
            progress("find objects", place, len(listed))
            yield each


def matches(seen: Sequence[SeenPicture], kind: str) -> list[Matched]:
    """The found objects of one kind against the marked ones, on the pictures whose source marks all of them."""
    from leukopy.datasets.boxes import BOX_SOURCES
    from leukopy.evaluation.detection import Marked, cut_by_border, match

    found = []
    for each in seen:
        if kind in BOX_SOURCES[each.source].complete:
            boxes = np.array(
                [(box.left, box.top, box.width, box.height) for box in each.picture.boxes if box.kind == kind],
                np.float32,
            ).reshape(-1, 4)
            marked = Marked(boxes, cut_by_border(boxes, each.size))
            own = each.found.of(kind)
            found.append(match(own.boxes, own.scores, marked, cut_by_border(own.boxes, each.size)))
    return found


def count_error(seen: Sequence[SeenPicture], detector: Detector) -> float | None:
    """Mean relative error of the number of red cells per picture, at the card's threshold; None without boxes."""
    from leukopy.datasets.boxes import BOX_SOURCES
    from leukopy.taxonomy.objects import RED_CELL

    least = detector.card.thresholds[RED_CELL]
    errors = []
    for each in seen:
        marked = sum(box.kind == RED_CELL for box in each.picture.boxes)
        if marked and RED_CELL in BOX_SOURCES[each.source].complete:
            errors.append(abs(int((each.found.of(RED_CELL).scores >= least).sum()) - marked) / marked)
    return float(np.mean(errors)) if errors else None


def _shown(found: Scores) -> dict[str, object]:
    return {name: asdict(value) if hasattr(value, "low") else value for name, value in found._asdict().items()}
