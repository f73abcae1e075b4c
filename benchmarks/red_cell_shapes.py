"""Shapes of red cells on Chula RBC-12, separation of overlapping red cells, and the cost of a field.

    LEUKOPY_DATA=... python benchmarks/red_cell_shapes.py            # test fields: for final figures
    LEUKOPY_DATA=... python benchmarks/red_cell_shapes.py --val      # validation fields
    python benchmarks/red_cell_shapes.py --card                      # the figures into the card, and its page

Shapes: of the marked cells, cut out at the detector's boxes around their points, by the split of the fields; intervals
by bootstrap over fields. The published figure (accuracy .921, F1 .868; EfficientNet-B1, Naruenatthanaset et al.,
arXiv:2012.01321) is of 20,875 cells of 12 shapes and names no split by field; RBC-12 as distributed has 13 numbers
(elliptocytes were added), and 43 of its fields show an area again. Here no field, and none that shows its area, stands
on both sides. ``source_against_itself`` compares the marks of fields that stand in RBC-12 twice.

Separation: overlapping red cells of drawn fields, at least half visible and not cut; one is separated where a found box
overlaps its own by half or more. The published .889 was judged on 20 pictures. On RBC-12: marked cells that touch
another found one, separated where exactly one box has its centre near the point; RBC-12 marks a part of the cells.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import confusion_matrix

from leukopy.bundle.card import Metric
from leukopy.bundle.detector import open_detector
from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
from leukopy.bundle.store import CARD_FILE
from leukopy.core.files import read_json, write_json, write_text
from leukopy.core.paths import data_folder
from leukopy.datasets.red_cell_points import UM_PER_PX, PointedField, pointed_fields, repeats
from leukopy.evaluation.detection import overlaps
from leukopy.evaluation.intervals import bootstrap
from leukopy.fields.box_pairs import overlapping
from leukopy.fields.detections import Detections
from leukopy.fields.detector import Detector
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.read import read_field
from leukopy.fields.red_cell_crops import cut_red_cells, recentre
from leukopy.fields.red_cell_shapes import Readings, ShapedFinder, ShapeNamer
from leukopy.reports.red_cell_shapes_card import red_cell_shapes_card
from leukopy.synthesis.field import draw_random_field
from leukopy.taxonomy.objects import RED_CELL, RED_CELL_UM
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES, SHAPES
from leukopy.training.red_cell_shapes.cells import LEAST_SCORE
from red_cell_baselines import ellipses, measures
from results_file import RESULTS, write

RED_CELL_PX = RED_CELL_UM / UM_PER_PX
PAGE = Path(__file__).parents[1] / "docs" / "models" / "red_cell_shapes.md"
FIRST_SEED = 20_000_000
PUBLISHED = [place for place, name in enumerate(SHAPE_NAMES) if name != "elliptocyte"]
"""Shapes of the published figure."""
_NEAR = 0.35
"""Distance of a point from the centre of its box, in red cells."""


def read(field: PointedField) -> Field:
    source = FieldInput(field.file, str(data_folder() / field.file), um_per_px=UM_PER_PX)
    return read_field(source)


def f1(confusion: NDArray[np.float64], places: list[int]) -> NDArray[np.float64]:
    """Scores (R, 1 + 1 + len(places)) of confusion matrices (R, K, K): accuracy, macro F1, F1 of each shape."""
    own = confusion[:, places]
    right = np.diagonal(confusion, axis1=1, axis2=2)[:, places]
    wanted, given = own.sum(axis=2), confusion[:, places][:, :, :].sum(axis=1)[:, places]
    with np.errstate(invalid="ignore", divide="ignore"):
        each = 2 * right / (wanted + given)
        accuracy = right.sum(axis=1) / wanted.sum(axis=1)
    return np.column_stack([accuracy, np.nanmean(each, axis=1), each])


def scores(truth: NDArray[np.int64], found: NDArray[np.int64], fields: NDArray[np.int64]) -> dict[str, object]:
    """Accuracy and F1 with 95 % intervals over fields: of all shapes, and of those of the published figure."""
    count = len(SHAPES)
    cells = np.zeros((len(truth), count * count))
    cells[np.arange(len(truth)), truth * count + found] = 1
    result: dict[str, object] = {"cells": len(truth), "fields": len(np.unique(fields))}
    for name, places in (("all shapes", list(range(count))), ("shapes of the published figure", PUBLISHED)):
        kept = np.isin(truth, places)

        def metric(sums: NDArray[np.float64], places: list[int] = places) -> NDArray[np.float64]:
            return f1(sums.reshape(-1, count, count), places)

        value = metric(cells[kept].sum(axis=0, keepdims=True))[0]
        low, high = bootstrap(cells[kept], metric, groups=fields[kept], replicates=1000)
        rounded = [[_rounded(number) for number in row] for row in zip(value, low, high, strict=True)]
        result[name] = {
            "accuracy": rounded[0],
            "macro F1": rounded[1],
            "F1": dict(zip([SHAPE_NAMES[place] for place in places], rounded[2:], strict=True)),
        }
    result["confusion"] = confusion_matrix(truth, found, labels=range(count)).tolist()
    return result


def _rounded(number: float) -> float | None:
    """None for a shape that is absent."""
    return None if np.isnan(number) else round(float(number), 4)


def centres(field: PointedField, seen: Field) -> NDArray[np.float64]:
    """The middles of the boxes around the points."""
    boxes = Detector(open_detector(), least=LEAST_SCORE).find_on(seen.pixels, RED_CELL_PX).of(RED_CELL).boxes
    return recentre(field.centres, boxes, RED_CELL_PX)


def marked(fields: list[PointedField]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Marked shapes, and the number of the field of all cells."""
    numbers = np.repeat(np.arange(len(fields)), [len(field.shapes) for field in fields])
    return np.concatenate([field.shapes for field in fields]), numbers


def network(namer: ShapeNamer, fields: list[PointedField]) -> dict[str, object]:
    truth, numbers = marked(fields)
    parts = [namer.read((seen := read(field)).pixels, centres(field, seen), RED_CELL_PX) for field in fields]
    readings = Readings(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    best = readings.probabilities.argmax(axis=1)
    names = namer.name(readings, len(best), np.arange(len(best)))
    sure = names.sure
    return {
        "each cell named": scores(truth, best, numbers),
        "sure": {
            "share": round(float(sure.mean()), 4),
            "accuracy": round(float((best == truth)[sure].mean()), 4),
            "accuracy of the others": round(float((best == truth)[~sure].mean()), 4),
        },
        "normal cells surely named": {
            name: round(float((sure & (best == place))[truth == 0].mean()), 4)
            for place, name in enumerate(SHAPE_NAMES)
        },
    }  # fmt: skip


def boosting(fields: list[PointedField]) -> dict[str, object]:
    """Measures and gradient boosting, trained on the training fields."""

    def table(fields: list[PointedField]) -> NDArray[np.float64]:
        cells = [cut_red_cells((seen := read(field)).pixels, centres(field, seen), RED_CELL_PX) for field in fields]
        return np.array([measures(cell) for own in cells for cell in own])

    known = pointed_fields(data_folder(), "train")
    model = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.08, class_weight="balanced", random_state=0)
    model.fit(table(known), marked(known)[0])
    truth, numbers = marked(fields)
    return scores(truth, model.predict(table(fields)).astype(np.int64), numbers)


def source_against_itself() -> dict[str, object]:
    """Marks of the fields that stand in RBC-12 twice, as copies: each cell twice, in both orders."""
    everything = {field.file: field for field in pointed_fields(data_folder(), repeated=True)}
    first, second, numbers = [], [], []
    for number, (copy, original) in enumerate(repeats().items()):
        one, two = everything.get(copy), everything.get(original)
        if one is None or two is None or not _same_pixels(one, two):
            continue
        for centre, shape in zip(one.centres, one.shapes, strict=True):
            apart = np.abs(two.centres - centre).sum(axis=1)
            if apart.min() < 0.4 * RED_CELL_PX:
                other = two.shapes[apart.argmin()]
                first += [shape, other]
                second += [other, shape]
                numbers += [number, number]
    return scores(np.array(first), np.array(second), np.array(numbers))


def _same_pixels(one: PointedField, two: PointedField) -> bool:
    a, b = (read(field).pixels.astype(np.float32) for field in (one, two))
    return a.shape == b.shape and float(np.abs(a - b).mean()) < 8


def served(namer: ShapeNamer, detector: Detector, fields: list[PointedField]) -> dict[str, object]:
    """From the field: cells found by the detector, at their boxes."""
    finder = ShapedFinder(detector, namer)
    rows = []
    for field in fields:
        seen = read(field)
        found = finder.find(seen)
        red = found.of(RED_CELL)
        names = found.shapes
        assert names is not None
        own = np.flatnonzero(found.kinds == 1)
        middles = red.boxes[:, :2] + red.boxes[:, 2:] / 2
        touching = overlapping(red.boxes, 0.05)
        for centre, shape in zip(field.centres, field.shapes, strict=True):
            apart = np.hypot(*(middles - centre).T)
            place = int(apart.argmin()) if len(apart) else -1
            near = place >= 0 and apart[place] < _NEAR * RED_CELL_PX
            index = own[place] if near else -1
            rows.append(
                (near, near and touching[place], shape, names.shapes[index] if near else -1, near and names.sure[index])
            )
    near, touching, truth, best, sure = np.array(rows, dtype=np.int64).T
    result: dict[str, object] = {"found": round(float(near.mean()), 4)}
    for name, chosen in (
        ("touch no other", (best >= 0) & (touching == 0)),
        ("touch another, separate", (best >= 0) & (touching == 1)),
    ):
        result[name] = {
            "cells": int(chosen.sum()),
            "accuracy": round(float((best == truth)[chosen].mean()), 4),
            "sure": round(float(sure[chosen].mean()), 4),
            "accuracy of the sure": round(float((best == truth)[chosen & (sure == 1)].mean()), 4),
        }
    return result


Separator = Callable[[Field], NDArray[np.float32]]


def drawn_separation(separate: Separator, count: int) -> dict[str, object]:
    wanted = split = 0
    by_visible: dict[str, list[int]] = {}
    for number in range(count):
        drawn = draw_random_field(FIRST_SEED + number)
        red_cell_px = RED_CELL_UM / drawn.um_per_px
        if red_cell_px < 20:
            continue
        own = [one for one in drawn.objects if one.kind == RED_CELL and not one.cut]
        boxes = np.array([(one.left, one.top, one.width, one.height) for one in own], np.float32).reshape(-1, 4)
        judged = overlapping(boxes, 0.05) & np.array([one.visible >= 0.5 for one in own], bool)
        source = FieldInput(str(number), "", um_per_px=drawn.um_per_px)
        found = separate(Field(source, drawn.image, "", drawn.um_per_px, "table"))
        shared, _ = overlaps(boxes, found)
        right = (shared >= 0.5).any(axis=1) if len(found) else np.zeros(len(boxes), bool)
        wanted += int(judged.sum())
        split += int((right & judged).sum())
        for one, is_judged, is_right in zip(own, judged, right, strict=True):
            if is_judged:
                name = f"visible {np.floor(10 * one.visible) / 10:.1f} and more"
                by_visible.setdefault(name, []).append(int(is_right))
    shares = {name: round(float(np.mean(values)), 4) for name, values in sorted(by_visible.items())}
    return {"cells": wanted, "separated": round(split / max(1, wanted), 4), **shares}


def pointed_separation(separate: Separator, fields: list[PointedField]) -> dict[str, object]:
    wanted = split = 0
    for field in fields:
        boxes = separate(read(field))
        middles = boxes[:, :2] + boxes[:, 2:] / 2
        apart = np.hypot(*(field.centres[:, None] - field.centres[None]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        close = apart.min(axis=1, initial=np.inf) < RED_CELL_PX
        for centre in field.centres[close]:
            near = np.hypot(*(middles - centre).T) < _NEAR * RED_CELL_PX if len(middles) else np.zeros(0, bool)
            wanted += 1
            split += int(near.sum() == 1)
    return {"cells with a marked neighbour within a diameter": wanted, "separated": round(split / max(1, wanted), 4)}


def by_detector(detector: Detector) -> Separator:
    return lambda field: detector.find(field).of(RED_CELL).boxes


def by_ellipses(field: Field) -> NDArray[np.float32]:
    assert field.um_per_px is not None
    return ellipses(field.pixels, RED_CELL_UM / field.um_per_px)


def cost(namer: ShapeNamer, detector: Detector, fields: list[PointedField]) -> dict[str, object]:
    """CPU milliseconds per field of 640 x 480, the detector's scale known."""
    seen = [read(field) for field in fields[:20]]
    finder = ShapedFinder(detector, namer)
    plain = [detector.find(field) for field in seen]
    cells = float(np.mean([len(found.of(RED_CELL)) for found in plain]))
    result: dict[str, object] = {"red cells per field": round(cells, 1)}
    for name, find in (("detect", detector.find), ("detect and name shapes", finder.find)):
        result[name] = round(min(_milliseconds(find, seen) for _ in range(3)), 1)
    return result


def _milliseconds(find: Callable[[Field], Detections], fields: list[Field]) -> float:
    start = time.process_time()
    for field in fields:
        find(field)
    return 1000 * (time.process_time() - start) / len(fields)


def parts(split: str, bundle: str | Path) -> Iterator[tuple[str, object]]:
    namer, detector = ShapeNamer.open(bundle), Detector.open("default")
    fields = pointed_fields(data_folder(), split)
    yield "network", network(namer, fields)
    yield "source_against_itself", source_against_itself()
    yield "from the field", served(namer, detector, fields)
    yield "measures and gradient boosting", boosting(fields)
    count = 12 if split == "val" else 40
    yield (
        "drawn overlaps",
        {
            "boxes of the detector": drawn_separation(by_detector(detector), count),
            "concave points and ellipses": drawn_separation(by_ellipses, count),
        },
    )
    yield (
        "overlaps of RBC-12",
        {
            "boxes of the detector": pointed_separation(by_detector(detector), fields),
            "concave points and ellipses": pointed_separation(by_ellipses, fields),
        },
    )
    yield "cpu milliseconds per field", cost(namer, detector, fields)


def write_card() -> None:
    """Write the figures of the test fields into the card that ships, and the card's page."""
    result = read_json(RESULTS / "red_cell_shapes.json")
    bundle = open_red_cell_shapes()
    found = result["figures"]["network"]["each cell named"]
    data = f"test fields of Chula RBC-12, {found['cells']:,} cells of {found['fields']} fields, seen by no training"
    metrics = [metric for metric in bundle.card.metrics if "(validation)" in metric.name]
    for group in ("all shapes", "shapes of the published figure"):
        for name in ("accuracy", "macro F1"):
            value, low, high = found[group][name]
            metrics.append(
                Metric(name=f"{name}, {group}", value=value, low=low, high=high, data=data, command=result["command"])
            )
    card = bundle.card.model_copy(update={"metrics": tuple(metrics)})
    write_json(bundle.model_path.parent / CARD_FILE, card.model_dump(mode="json"))
    write_text(PAGE, red_cell_shapes_card(card))


def main() -> None:
    if "--card" in sys.argv:
        write_card()
        return
    split = "val" if "--val" in sys.argv else "test"
    bundle = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "default")
    figures: dict[str, object] = {"split": split}
    for name, found in parts(split, bundle):
        print(name, found, flush=True)
        figures[name] = found
    write("red_cell_shapes" if split == "test" else "red_cell_shapes_val", figures)


if __name__ == "__main__":
    main()
