"""Measure a detector on public pictures with boxes, and on drawn fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from leukopy.core.errors import InputError
from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.datasets.boxes import DRAWN
from leukopy.taxonomy.objects import OBJECTS, RED_CELL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leukopy.datasets.boxes import Box
    from leukopy.evaluation.detection import Marked, Matched, Scores
    from leukopy.fields.detections import Detections
    from leukopy.fields.detector import Detector

LEAST_SCORE = 0.05
"""Objects of a lower score are not measured."""
FIRST_SEED = 10_000_000
"""Of the drawn fields: no training draws these."""
SCORES_FILE = "scores.json"


class EvaluateDetectorSettings(Settings):
    """Settings of a detector's evaluation."""

    sources: tuple[str, ...] = ("txl_pbc", "txl_raabin", "txl_bccd", "txl_own")
    """Sources of boxes; `drawn` draws new fields."""
    model: str = "default"
    """A bundled detector, or a bundle folder."""
    split: Literal["train", "val", "test", "all"] = "test"
    """Pictures to measure on."""
    scale: Literal["found", "known"] = "found"
    """Red cells' diameter: measured on each picture, or the source's own."""
    false_per_picture: float = Field(default=0.1, gt=0)
    """Falsely found objects per picture at which recall is measured."""
    drawn_fields: int = Field(default=100, ge=1)
    """Number of drawn fields, where the sources name `drawn`."""


@dataclass(frozen=True)
class SourceScores:
    """Scores on one source."""

    kinds: dict[str, Scores]
    red_cell_count_error: float | None
    """Mean relative error of the number of whole red cells per picture, at the card's threshold."""


@dataclass(frozen=True)
class MarkedPicture:
    """One picture to see."""

    source: str
    name: str
    """Its path below the data folder; the seed of a drawn field."""
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class SeenPicture:
    """What is marked on one picture, and what a detector finds there."""

    source: str
    size: tuple[int, int]
    """Width and height."""
    marked: dict[str, Marked]
    """Kind -> objects, for the kinds of which all are marked."""
    found: Detections


def evaluate_detector(
    settings: EvaluateDetectorSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> dict[str, SourceScores]:
    """Measure a detector: scores by source, and over all. Writes ``scores.json``.

    Raises:
        BundleError: the detector cannot be opened.
        InputError: a source is unknown, or a picture cannot be read.
        OutputError: ``out`` holds something else.
    """
    from leukopy.bundle.detector import open_detector
    from leukopy.fields.detector import Detector

    run = record("evaluate detector", settings)
    begin(out, run, resume=False, overwrite=overwrite)
    detector = Detector(open_detector(settings.model), least=LEAST_SCORE)
    split = None if settings.split == "all" else settings.split
    pictures = [
        picture for source in settings.sources for picture in marked_pictures(source, split, settings.drawn_fields)
    ]
    seen = list(see(detector, pictures, known_scale=settings.scale == "known", progress=progress))
    found = {}
    for name in (*settings.sources, "all"):
        own = [each for each in seen if name in (each.source, "all")]
        least = detector.card.thresholds[RED_CELL]
        found[name] = SourceScores(_scores(own, settings.false_per_picture), count_error(own, least))
    write_json(out / SCORES_FILE, {name: asdict(each) for name, each in found.items()})
    finish(out, run)
    return found


def marked_pictures(source: str, split: str | None, drawn_fields: int) -> Iterator[MarkedPicture]:
    """The pictures of a source of boxes in a split (None: in all), or new drawn fields.

    Raises:
        InputError: the source is unknown.
    """
    from leukopy.datasets.boxes import BOX_SOURCES
    from leukopy.datasets.field_split import pictures

    if source == DRAWN:
        yield from (MarkedPicture(DRAWN, str(FIRST_SEED + number)) for number in range(drawn_fields))
        return
    if source not in BOX_SOURCES:
        raise InputError(f"{source}: unknown source of boxes. Choose from {', '.join(BOX_SOURCES)}, {DRAWN}.")
    yield from (MarkedPicture(source, each.file, each.boxes) for each in pictures(source, data_folder(), split))


def see(
    detector: Detector,
    pictures: Sequence[MarkedPicture],
    *,
    known_scale: bool,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    progress: Progress = silent,
) -> Iterator[SeenPicture]:
    """Find the objects of pictures.

    Args:
        detector: finds them.
        pictures: to see, in this order.
        known_scale: the red cells' diameter is the source's own; False: measured on each picture.
        change: changes the pixels before.
        progress: reports the pictures.
    """

    def find(picture: MarkedPicture) -> SeenPicture:
        pixels, marked, diameter = _read(picture)
        pixels = pixels if change is None else change(pixels)
        found = detector.find_on(pixels, diameter if known_scale else None)
        return SeenPicture(picture.source, (pixels.shape[1], pixels.shape[0]), marked, found)

    with ThreadPoolExecutor(2) as pool:
        for place, each in enumerate(pool.map(find, pictures), start=1):
            progress("find objects", place, len(pictures))
            yield each


def _read(picture: MarkedPicture) -> tuple[NDArray[np.uint8], dict[str, Marked], float]:
    """Pixels, marked objects, and the diameter of a red cell in pixels."""
    import numpy as np

    from leukopy.datasets.boxes import BOX_SOURCES
    from leukopy.evaluation.detection import Marked, cut_by_border
    from leukopy.fields.field import FieldInput
    from leukopy.fields.read import read_field
    from leukopy.synthesis.field import draw_random_field
    from leukopy.taxonomy.objects import RED_CELL_UM

    boxes: list[tuple[str, tuple[float, float, float, float], bool]]
    if picture.source == DRAWN:
        field = draw_random_field(int(picture.name))
        boxes = list(field.marks())
        pixels, complete, diameter = field.image, OBJECTS, RED_CELL_UM / field.um_per_px
    else:
        pixels = read_field(FieldInput(picture.name, str(data_folder() / picture.name))).pixels
        boxes = [(box.kind, (box.left, box.top, box.width, box.height), box.unsure) for box in picture.boxes]
        entry = BOX_SOURCES[picture.source]
        complete, diameter = entry.complete, entry.red_cell * pixels.shape[1]
    marked = {}
    for kind in complete:
        own = np.array([box for name, box, _ in boxes if name == kind], np.float32).reshape(-1, 4)
        unsure = np.array([doubt for name, _, doubt in boxes if name == kind], bool)
        marked[kind] = Marked(own, unsure | cut_by_border(own, (pixels.shape[1], pixels.shape[0])))
    return pixels, marked, diameter


def matches(seen: Sequence[SeenPicture], kind: str) -> list[Matched]:
    """The found objects of one kind against the marked ones, on the pictures on which all of them are marked."""
    from leukopy.evaluation.detection import cut_by_border, match

    found = []
    for each in seen:
        if kind in each.marked:
            own = each.found.of(kind)
            found.append(match(own.boxes, own.scores, each.marked[kind], cut_by_border(own.boxes, each.size)))
    return found


def _scores(seen: Sequence[SeenPicture], false_per_picture: float) -> dict[str, Scores]:
    from leukopy.evaluation.detection import score

    matched = {kind: matches(seen, kind) for kind in OBJECTS}
    return {
        kind: score(pictures, false_per_picture=false_per_picture)
        for kind, pictures in matched.items()
        if any(each.wanted for each in pictures)
    }


def count_error(seen: Sequence[SeenPicture], least: float) -> float | None:
    """Mean relative error of the number of whole red cells of score ``least`` or more; None where none are marked.

    Cells cut by the border are in neither number: sources mark them at random.
    """
    from leukopy.evaluation.detection import cut_by_border

    errors = []
    for each in seen:
        if RED_CELL in each.marked and (marked := int((~each.marked[RED_CELL].open).sum())):
            found = each.found.of(RED_CELL)
            whole = (found.scores >= least) & ~cut_by_border(found.boxes, each.size)
            errors.append(abs(int(whole.sum()) - marked) / marked)
    return sum(errors) / len(errors) if errors else None


def least_count_error(parts: Sequence[Sequence[SeenPicture]]) -> float:
    """The score of red cells at which the mean of the parts' `count_error` is least, in steps of .01.

    Args:
        parts: pictures of which each part has the same say, with objects of score `LEAST_SCORE` or more.
    """
    import numpy as np

    def mean_error(least: float) -> float:
        errors = [error for part in parts if (error := count_error(part, least)) is not None]
        return float(np.mean(errors))

    return min((round(float(least), 2) for least in np.arange(0.3, 0.9, 0.01)), key=mean_error)
