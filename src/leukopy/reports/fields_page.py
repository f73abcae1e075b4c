"""Sections of the report on fields of view: boxes on their pictures, red cells, platelets, quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from leukopy.fields.counts import COUNTING_RULE, USUAL_OIL_FIELDS, FieldCounts
from leukopy.fields.counts_table import counts_table
from leukopy.reports.object_labels import Label, all_labels
from leukopy.reports.rendering import chance, embedded
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, PLATELET_CLUMP, RED_CELL
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

BOXES_SHOWN = 12_000
"""Boxes of a page; a picture with more than its part of them shows the first, leukocytes before the others."""

FIELDS_LISTED = 200
"""Fields in the table of the page; ``fields.csv`` holds them all."""

_MIME = {b"\x89PNG": "png", b"\xff\xd8\xff\xe0": "jpeg", b"RIFF": "webp"}
_PLURALS = {
    LEUKOCYTE: "nucleated cells",
    RED_CELL: "red cells",
    PLATELET: "platelets",
    PLATELET_CLUMP: "platelet clumps",
}


@dataclass(frozen=True)
class FieldsContent:
    """What the report shows of the fields of a slide."""

    counts: FieldCounts
    fields: pl.DataFrame
    """All rows of ``FIELD_SCHEMA`` of the slide."""
    objects: pl.DataFrame
    """Objects of the shown fields, as `object_labels.label_objects` returns them."""
    pictures: Mapping[str, bytes]
    """WebP by ``field``: the fields that are shown."""
    overview: bytes | None = None
    """PNG, JPEG or WebP of the whole slide with its regions."""
    overview_legend: str = ""
    """Meaning of the overview's colours."""
    examples: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """Shape of a red cell -> WebP of some that surely have it."""


@dataclass(frozen=True)
class Box:
    """One box of a picture."""

    left: float
    top: float
    width: float
    height: float
    title: str
    """Class and probability."""
    counted: bool


@dataclass(frozen=True)
class Layer:
    """The boxes of one label on one picture."""

    label: Label
    kind: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class FieldView:
    """One field with its boxes."""

    name: str
    picture: str
    """Base64 of the WebP."""
    width: int
    height: int
    layers: tuple[Layer, ...]
    summary: str
    """Its objects in words."""
    facts: Mapping[str, Any]
    """Its row of ``FIELD_SCHEMA``."""
    hidden: int
    """Boxes that are not shown."""


def field_values(content: FieldsContent) -> dict[str, Any]:
    """Values of the templates ``_fields*.html.j2``."""
    views = tuple(_views(content))
    present = {layer.label for view in views for layer in view.layers}
    kinds = {layer.kind for view in views for layer in view.layers}
    listed = content.fields.sort(pl.col("left_out").is_null(), maintain_order=True).head(FIELDS_LISTED)
    return {
        "views": views,
        "labels": tuple(label for label in all_labels().values() if label in present),
        "layers": {kind: _PLURALS[kind] for kind in OBJECTS if kind in kinds},
        "figures": {
            section: tuple(rows.iter_rows(named=True))
            for (section,), rows in counts_table(content.counts).partition_by("section", as_dict=True).items()
        },
        "listed": tuple(listed.iter_rows(named=True)),
        "total": len(content.fields),
        "rule": COUNTING_RULE,
        "usual_oil_fields": USUAL_OIL_FIELDS,
        "overview": _data(content.overview) if content.overview else None,
        "bars": _bars(content.counts),
        "examples": {
            name: tuple(embedded(picture) for picture in content.examples.get(name, ())) for name in SHAPE_NAMES
        },
    }


def _views(content: FieldsContent) -> Iterator[FieldView]:
    most = BOXES_SHOWN // max(1, len(content.pictures))
    shown = content.fields.filter(pl.col("field").is_in(list(content.pictures)))
    objects = content.objects.partition_by("field", as_dict=True)
    for facts in shown.iter_rows(named=True):
        own = objects.get((facts["field"],), content.objects.clear())
        order = own.with_columns(rank=pl.col("kind").replace_strict(list(OBJECTS), [0, 3, 2, 1], return_dtype=pl.Int8))
        drawn = order.sort("rank", maintain_order=True).head(most)
        yield FieldView(
            name=facts["field"],
            picture=embedded(content.pictures[facts["field"]]),
            width=facts["width"],
            height=facts["height"],
            layers=tuple(_layers(drawn)),
            summary=_summary(own),
            facts=facts,
            hidden=len(own) - len(drawn),
        )


def _layers(drawn: pl.DataFrame) -> Iterator[Layer]:
    """The labels, leukocytes last: they lie on top."""
    groups = drawn.sort("rank", descending=True, maintain_order=True).partition_by(
        "kind", "label", as_dict=True, maintain_order=True
    )
    columns = ("box_x", "box_y", "box_width", "box_height", "probability", "counted", "diameter_um", "cut")
    for (kind, code), rows in groups.items():
        label = all_labels()[str(code)]
        yield Layer(label, str(kind), tuple(_box(label, *row) for row in rows.select(columns).iter_rows()))


def _box(label: Label, *row: Any) -> Box:
    left, top, width, height, probability, counted, diameter, cut = row
    words = [f"{label.name.capitalize()} {chance(probability)}"]
    words += [f"{diameter:.1f} µm"] if diameter is not None else []
    words += ["cut by the border"] if cut else []
    words += [] if counted else ["not counted"]
    return Box(round(left, 1), round(top, 1), round(width, 1), round(height, 1), ", ".join(words), counted)


def _summary(own: pl.DataFrame) -> str:
    """``2 lymphocytes, 1 monocyte, 210 red cells, 0 platelets``: the counted objects."""
    counted = own.filter("counted")
    kinds = Counter(counted["kind"].to_list())
    classes = Counter(counted.filter(pl.col("kind") == LEUKOCYTE)["label"].to_list())
    found = [(count, all_labels()[code].name) for code, count in classes.most_common()]
    found += [(kinds[kind], _PLURALS[kind][:-1]) for kind in (RED_CELL, PLATELET)]
    found += [(kinds[PLATELET_CLUMP], "platelet clump")] if kinds[PLATELET_CLUMP] else []
    return ", ".join(f"{count} {_plural(name, count)}" for count, name in found)


def _plural(name: str, count: int) -> str:
    if count == 1 or name == "unidentified":
        return name
    first, _, rest = name.partition(" without ")
    first, _, more = first.partition(" classified ")
    return f"{first}s" + (f" without {rest}" if rest else "") + (f" classified {more}" if more else "")


def _data(picture: bytes) -> str:
    kind = next((kind for start, kind in _MIME.items() if picture.startswith(start)), "jpeg")
    return f"data:image/{kind};base64,{embedded(picture)}"


def _bars(counts: FieldCounts) -> tuple[tuple[float, int, float], ...]:
    """Histogram of diameters: lower edge, cells, height as a share of the highest."""
    histogram = counts.red_cells.histogram
    most = max((count for _, count in histogram), default=1)
    return tuple((edge, count, count / most) for edge, count in histogram)
