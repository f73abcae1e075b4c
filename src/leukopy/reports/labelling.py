"""Results as pre-labels for Label Studio, and the corrections that people made there, in CVAT or in QuPath.

CVAT imports ``boxes.coco.json`` and QuPath imports ``qupath/*.geojson`` as `reports.field_files` writes them. Label
Studio takes the tasks of `label_studio_tasks`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import polars as pl

from leukopy.core.errors import InputError
from leukopy.reports.object_labels import Label, all_labels
from leukopy.taxonomy import FINE, OUTSIDE, outside_classes

BOX_SCHEMA: dict[str, pl.DataType] = {
    "picture": pl.String(),  # field id; of a single cell, its cell id
    "left": pl.Float64(),  # px; null where the whole picture is one cell
    "top": pl.Float64(),
    "right": pl.Float64(),
    "bottom": pl.Float64(),
    "code": pl.String(),  # a code of `known_labels`
}

_PERCENT = 100


def known_labels(*, fields: bool) -> dict[str, Label]:
    """The labels of objects on fields, or of pictures of single cells, by code."""
    if fields:
        return all_labels()
    classes = dict.fromkeys((*FINE, *OUTSIDE, *outside_classes()))
    return {cell.code: Label(cell.code, cell.name, cell.colour) for cell in classes}


def label_studio_config(*, fields: bool) -> str:
    """The labelling interface: its classes are those of leukopy."""
    labels = known_labels(fields=fields).values()
    if fields:
        items = "".join(f'<Label value={quoteattr(each.name)} background="{each.colour}"/>' for each in labels)
        inner = f'<RectangleLabels name="class" toName="image">{items}</RectangleLabels>'
    else:
        items = "".join(f"<Choice value={quoteattr(each.name)}/>" for each in labels)
        inner = f'<Choices name="class" toName="image" choice="single">{items}</Choices>'
    return f'<View><Image name="image" value="$image" zoom="true"/>{inner}</View>\n'


def label_studio_tasks(boxes: pl.DataFrame, sizes: dict[str, tuple[int, int]], paths: dict[str, str]) -> list[Any]:
    """One task per picture, with the model's answers as predictions.

    Args:
        boxes: rows of ``BOX_SCHEMA`` with a column ``score``.
        sizes: width and height in pixels, by picture.
        paths: of the files, by picture.
    """
    names = known_labels(fields=boxes["left"].null_count() < len(boxes))
    none = boxes.clear()
    found = {str(key[0]): part for key, part in boxes.group_by("picture", maintain_order=True)}
    return [
        {
            "data": {"image": path, "picture": picture},
            "predictions": [
                {
                    "model_version": "leukopy",
                    "result": [
                        _region(row, names[row["code"]].name, sizes[picture])
                        for row in found.get(picture, none).iter_rows(named=True)
                    ],
                }
            ],
        }
        for picture, path in paths.items()
    ]


def _region(row: dict[str, Any], name: str, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    shared = {"from_name": "class", "to_name": "image", "score": round(row["score"], 4)}
    if row["left"] is None:
        return {**shared, "type": "choices", "value": {"choices": [name]}}
    value = {
        "x": _PERCENT * row["left"] / width,
        "y": _PERCENT * row["top"] / height,
        "width": _PERCENT * (row["right"] - row["left"]) / width,
        "height": _PERCENT * (row["bottom"] - row["top"]) / height,
        "rotation": 0,
        "rectanglelabels": [name],
    }
    sides = {"original_width": width, "original_height": height}
    return {**shared, **sides, "type": "rectanglelabels", "value": value}


def read_corrections(path: Path, pictures: Sequence[str], *, fields: bool) -> pl.DataFrame:
    """The labels that people gave, from Label Studio (JSON), CVAT (COCO 1.0) or QuPath (GeoJSON).

    Args:
        path: the exported file.
        pictures: the picture of a GeoJSON file is the one among these that its name names.
        fields: the labels are of objects on fields; else of pictures of single cells.

    Returns:
        Rows of ``BOX_SCHEMA``.

    Raises:
        InputError: not such a file, or a class that leukopy does not know.
    """
    known = _Names(path, {label.name.lower(): code for code, label in known_labels(fields=fields).items()})
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON. Export it again from the labelling program.") from error
    try:
        rows = [(*row[:-1], known.code(row[-1])) for row in _rows(content, path, pictures)]
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}: is no export of Label Studio (JSON), CVAT (COCO 1.0) or QuPath (GeoJSON): {error!r} is missing."
        ) from error
    return pl.DataFrame(rows, schema=BOX_SCHEMA, orient="row")


def _rows(content: Any, path: Path, pictures: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    if isinstance(content, list):
        yield from _of_label_studio(content)
    elif content.get("type") == "FeatureCollection":
        yield from _of_qupath(content["features"], path, pictures)
    else:
        names = {one["id"]: one["name"] for one in content["categories"]}
        files = {one["id"]: one["file_name"] for one in content["images"]}
        for one in content["annotations"]:
            left, top, width, height = one["bbox"]
            code = names[one["category_id"]]
            yield files[one["image_id"]], left, top, left + width, top + height, code


def _of_label_studio(tasks: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The latest annotation of each task that a person finished."""
    for task in tasks:
        picture = task["data"]["picture"]
        done = [each for each in task["annotations"] if not each.get("was_cancelled")]
        for region in done[-1]["result"] if done else ():
            value = region["value"]
            if "choices" in value:
                yield picture, None, None, None, None, value["choices"][0]
                continue
            across, down = region["original_width"] / _PERCENT, region["original_height"] / _PERCENT
            left, top = value["x"] * across, value["y"] * down
            code = value["rectanglelabels"][0]
            yield picture, left, top, left + value["width"] * across, top + value["height"] * down, code


def _of_qupath(features: list[Any], path: Path, pictures: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    picture = next((each for each in pictures if Path(each).name == path.stem), path.stem)
    for feature in features:
        ring = feature["geometry"]["coordinates"][0]
        across, down = [point[0] for point in ring], [point[1] for point in ring]
        code = feature["properties"]["classification"]["name"]
        yield picture, min(across), min(down), max(across), max(down), code


@dataclass(frozen=True)
class _Names:
    """The classes of an export, by their names in small letters."""

    path: Path
    codes: dict[str, str]

    def code(self, name: str) -> str:
        """The code of a class.

        Raises:
            InputError: it is unknown.
        """
        found = self.codes.get(name.strip().lower())
        if found is None:
            raise InputError(f"{self.path}: the class {name!r} is unknown. Known: {', '.join(self.codes)}.")
        return found
