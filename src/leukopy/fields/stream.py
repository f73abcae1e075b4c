"""The fields of one slide in their order, each read and searched once, in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import polars as pl

from leukopy.fields.doubles import REMEMBERED, Doubles
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.locate import Crops, Finder, Read, locate
from leukopy.fields.located import LocatedField
from leukopy.fields.read import read_field
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.taxonomy.objects import LEUKOCYTE

SAMPLED = 128
"""Most fields that are searched to survey a slide."""

_FIRST_ROUND, _ROUND = 2, 8
"""Fields that are searched before their cells are counted: the sample is the same with any number of threads. The scale
of the first ones is measured by itself, and spares the others much of that."""

Seen = Callable[[Field, LocatedField], None]
"""Called with a field and its objects while its pixels are at hand, by one thread at a time."""


class Earlier(NamedTuple):
    """Results of the first fields of a slide, from an interrupted run."""

    fields: pl.DataFrame = pl.DataFrame(schema=FIELD_SCHEMA)
    objects: pl.DataFrame = pl.DataFrame(schema=OBJECT_SCHEMA)
    """Objects of the last `doubles.REMEMBERED` of these fields suffice."""


def spread(count: int) -> list[int]:
    """The numbers below ``count`` in an order of which every beginning is spread evenly (van der Corput)."""
    bits = max(1, (count - 1).bit_length())
    turned = (int(format(number, f"0{bits}b")[::-1], 2) for number in range(2**bits))
    return [number for number in turned if number < count]


class FieldStream:
    """Searches the fields of a slide.

    A few fields, spread evenly, are searched first, until they show enough cells to survey the slide; they are kept
    without their pixels until their turn comes.
    """

    def __init__(
        self,
        fields: Sequence[FieldInput],
        detector: Finder,
        short_side: int,
        threads: int,
        *,
        read: Read = read_field,
        seen: Seen | None = None,
    ) -> None:
        """Prepare to search.

        Args:
            fields: of one slide, in a fixed order.
            detector: finds the objects; threads share it.
            short_side: pixels that the classifier needs of a cell's picture.
            threads: fields that are searched at the same time.
            read: reads a field.
            seen: called with each field that is read.
        """
        self.fields = fields
        self._detector, self._read, self._seen, self._threads = detector, read, seen, threads
        self._crops = Crops(short_side)
        self._kept: dict[int, LocatedField] = {}

    def sample(self, cells: int, *, first: bool = False) -> list[LocatedField]:
        """Search fields, spread evenly or the ``first``, until they show this many cells, in their order."""
        count = len(self.fields)
        order = (list(range(count)) if first else spread(count))[:SAMPLED]
        size = _FIRST_ROUND
        while order and sum(len(one.rows) for one in self._kept.values()) < cells:
            numbers, order, size = order[:size], order[size:], _ROUND
            self._kept |= dict(zip(numbers, self._search(numbers), strict=True))
            sizes = [one.found.red_cell_px for one in self._kept.values() if one.found.red_cell_px is not None]
            if sizes:
                self._crops = self._crops._replace(usual_red_cell_px=float(np.median(sizes)))
        return [self._kept[number] for number in sorted(self._kept)]

    def run(self, earlier: Earlier | None = None, wanted: int | None = None) -> Iterator[LocatedField]:
        """The fields in their order; copies of a file and cells of overlapping fields are marked.

        Args:
            earlier: the results of the first fields, which are not yielded again. Those that may overlap the next
                are searched again.
            wanted: cells after which the search ends; None: all fields are searched.
        """
        earlier = earlier or Earlier()
        start = len(earlier.fields)
        first = max(0, start - REMEMBERED)
        self._kept = {number: located for number, located in self._kept.items() if number >= first}
        doubles = Doubles()
        digests = {digest: name for digest, name in reversed(earlier.fields.select("digest", "field").rows()) if digest}
        found = int(earlier.fields["cells"].sum())
        for number, located in enumerate(self._search(range(first, len(self.fields))), first):
            if wanted is not None and found >= wanted:
                return
            if number >= start:
                _mark(located, doubles, digests)
                found += len(located.rows)
                yield located
            elif located.landmarks is not None and earlier.fields["left_out"][number] is None:
                _remember(located, doubles, _ids(located, earlier.objects))

    def _search(self, numbers: Iterable[int]) -> Iterator[LocatedField]:
        """Search fields by several threads, a few ahead of the reader."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="leukopy")
        running: deque[Future[tuple[LocatedField, Field | None]]] = deque()

        def finish() -> LocatedField:
            located, field = running.popleft().result()
            if self._seen and field is not None:
                self._seen(field, located)
            return located

        try:
            for number in numbers:
                running.append(pool.submit(self._locate, number))
                if len(running) > self._threads:
                    yield finish()
            while running:
                yield finish()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _locate(self, number: int) -> tuple[LocatedField, Field | None]:
        kept = self._kept.pop(number, None)
        if kept is not None:
            return kept, None
        return locate(self.fields[number], self._detector, self._read, self._crops)


def _mark(located: LocatedField, doubles: Doubles, digests: dict[str, str]) -> None:
    """Leave out a copy of a file, and mark cells that an earlier field shows."""
    if located.failure is not None:
        return
    name = located.source.field_id
    earlier = digests.setdefault(located.digest, name)
    if earlier != name:
        located.leave_out(f"copy of {earlier}")
    if located.landmarks is None or located.left_out:
        return
    leukocytes = located.leukocytes
    others = np.ones(len(located.found), bool)
    others[leukocytes] = False
    for overlap in doubles.overlaps(located.landmarks):
        located.overlaps = located.overlaps or overlap.field
        for place, cell_id in overlap.same.items():
            located.same_as.setdefault(int(leukocytes[place]), cell_id)
        located.counted &= ~(others & overlap.covers(located.centres))
    for index in located.same_as:
        located.counted[index] = False
        located.pictures.pop(index, None)
    _remember(located, doubles, located.ids)


def _remember(located: LocatedField, doubles: Doubles, ids: Sequence[str | None]) -> None:
    if located.landmarks is not None and located.size is not None:
        doubles.add(located.source.field_id, located.landmarks, ids, located.size)
    located.landmarks = None


def _ids(located: LocatedField, objects: pl.DataFrame) -> list[str | None]:
    """`LocatedField.ids` as an interrupted run found them."""
    own = objects.filter((pl.col("field") == located.source.field_id) & (pl.col("kind") == LEUKOCYTE))
    return own.select(pl.coalesce("cell_id", "same_as")).to_series().to_list()
