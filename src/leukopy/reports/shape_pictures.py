"""Pictures of a few red cells of each shape, cut out while their fields are at hand."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

import numpy as np
import polars as pl
from PIL import Image

from leukopy.core.errors import LeukopyError
from leukopy.fields.crops import background, cut_out
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.located import LocatedField
from leukopy.fields.tables import OBJECT_SCHEMA, slices
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

SHOWN = 5
"""Cells shown of each shape."""
_ACROSS = 1.5
"""Side of a picture, in diameters of its cell."""
_SIDE = 60
"""Side of a picture in the page, pixels."""

_Place = tuple[float, str, tuple[float, float, float, float]]
"""Probability below 0, field, and box."""


class ShapePictures:
    """WebP pictures of the red cells that have each shape most surely.

    Memory is bounded by ``SHOWN`` pictures of each shape, however many fields are added.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[_Place, bytes]]] = {name: [] for name in SHAPE_NAMES}

    def add(self, field: Field, located: LocatedField) -> None:
        """Consider the red cells of a field."""
        names = located.shapes
        sure = names.sure & located.counted & ~located.touching
        for shape in np.unique(names.shapes[sure]).tolist():
            own = np.flatnonzero(sure & (names.shapes == shape))
            kept = self._kept[SHAPE_NAMES[shape]]
            for index in own[np.argsort(-names.probabilities[own], kind="stable")][:SHOWN].tolist():
                place = _place(names.probabilities[index], field.source.field_id, located.found.boxes[index].tolist())
                if len(kept) == SHOWN and place >= kept[-1][0]:
                    break
                insort(kept, (place, _webp(field, place[2])))
                del kept[SHOWN:]

    def of(
        self, objects: pl.DataFrame | pl.LazyFrame, inputs: Iterable[FieldInput], read: Callable[[FieldInput], Field]
    ) -> dict[str, list[bytes]]:
        """Pictures by shape, the surest cells first.

        A field that was analysed before a resume is read again; an unreadable one shows no cell.

        Args:
            objects: rows of ``OBJECT_SCHEMA`` of the whole slide.
            inputs: its fields.
            read: as `fields.read.read_field`.
        """
        made = {place: webp for kept in self._kept.values() for place, webp in kept}
        by_name = {one.field_id: one for one in inputs}
        found: dict[str, list[bytes]] = {}
        for shape, places in _surest(objects.lazy()):
            for place in places:
                if place not in made:
                    try:
                        made[place] = _webp(read(by_name[place[1]]), place[2])
                    except LeukopyError:
                        continue
                found.setdefault(shape, []).append(made[place])
        return found


def _surest(objects: pl.LazyFrame) -> Iterator[tuple[str, list[_Place]]]:
    """Shape and the places of its surest cells, in the order of `ShapePictures`."""
    single = objects.filter(pl.col("counted") & ~pl.col("touching") & pl.col("shape_sure"))
    columns = ("shape_probability", "field", "box_x", "box_y", "box_width", "box_height")
    best = pl.DataFrame(schema={"shape": pl.String, **{name: OBJECT_SCHEMA[name] for name in columns}})
    for own in slices(single.select("shape", *columns)):
        rows = pl.concat([best, own]).sort(columns, descending=[True, *[False] * (len(columns) - 1)])
        best = rows.group_by("shape", maintain_order=True).head(SHOWN)
    for (shape,), own in best.partition_by("shape", as_dict=True, maintain_order=True).items():
        yield str(shape), [_place(chance, field, box) for chance, field, *box in own.select(columns).iter_rows()]


def _place(probability: float, field: str, box: list[float]) -> _Place:
    left, top, width, height = (float(np.float32(side)) for side in box)
    return -float(np.float32(probability)), field, (left, top, width, height)


def _webp(field: Field, box: tuple[float, float, float, float]) -> bytes:
    left, top, width, height = box
    side = max(8, round(_ACROSS * max(width, height)))
    centre = np.array([left + width / 2, top + height / 2])
    picture = cut_out(field.pixels, centre, side, side, background(field.pixels))
    stream = BytesIO()
    picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(stream, "WEBP", quality=80, method=2)
    return stream.getvalue()
