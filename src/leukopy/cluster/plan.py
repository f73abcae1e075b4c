"""The plan: every picture once, whole slides packed into shards. ``plan.parquet`` is its only state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Self

import polars as pl

from leukopy.cluster.listing import Listed
from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.storage import Store
from leukopy.core.errors import InputError, ManifestError
from leukopy.core.progress import Progress
from leukopy.core.provenance import RESEARCH_USE_ONLY, provenance

PLAN_FILE = "plan.parquet"

WEIGHTS = {"cells": 1, "fields": 20, "slide": 1000}
"""Pictures as which one input counts in a shard."""

_KEY = "leukopy"
_PASS_ROWS = 1_000_000
"""Rows in memory at a time."""
_GROUP_ROWS = 20_000
_FREE = frozenset({"input", "shard_images"})
"""Settings that change no row."""


class Shard(NamedTuple):
    """Whole slides that one worker analyses at a stretch."""

    number: int
    id: str
    """Digest of its rows, the model and the settings."""
    first: int
    """Its first row in the plan."""
    rows: int
    slides: int


@dataclass(frozen=True)
class Plan:
    """A plan on this machine."""

    path: Path
    settings: PlanSettings
    kind: str
    """``cells``, ``fields`` or ``slide``."""
    model: Mapping[str, Any]
    """Name and digests of the model, and of the detector."""
    shards: tuple[Shard, ...]
    note: str
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, store: Store, scratch: Path) -> Self:
        """The plan in a store.

        Args:
            store: where it lies.
            scratch: a folder for a copy, where the store is remote.

        Raises:
            InputError: there is no plan, or it is damaged.
        """
        try:
            path = store.fetch(PLAN_FILE, scratch / PLAN_FILE)
            found = json.loads(pl.read_parquet_metadata(path)[_KEY])
        except (FileNotFoundError, KeyError, ValueError, pl.exceptions.PolarsError, OSError) as error:
            raise InputError(
                f"{store.uri}/{PLAN_FILE}: no plan of leukopy ({type(error).__name__}). Make it with 'leukopy cluster "
                "plan INPUT --out URI'."
            ) from error
        settings = PlanSettings.build(found["settings"], where=f"{store.uri}/{PLAN_FILE}")
        shards = tuple(Shard(number, *one) for number, one in enumerate(found["shards"]))
        return cls(path, settings, found["kind"], found["model"], shards, found["note"], found["provenance"])

    @cached_property
    def id(self) -> str:
        """Digest of the ids of its shards."""
        return hashlib.sha256("".join(shard.id for shard in self.shards).encode()).hexdigest()[:32]

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return sum(shard.rows for shard in self.shards)

    def shard_rows(self, shard: Shard) -> pl.DataFrame:
        """The rows of a shard (``ROW_SCHEMA``); only they are read."""
        return pl.scan_parquet(self.path).slice(shard.first, shard.rows).drop("shard").collect()


def write_plan(
    listed: Listed,
    settings: PlanSettings,
    kind: str,
    model: Mapping[str, Any],
    scratch: Path,
    progress: Progress,
) -> Path:
    """Pack the slides into shards and write the plan, in bounded memory.

    Args:
        listed: the inputs.
        settings: of the plan.
        kind: of the inputs.
        model: name and digests of the model.
        scratch: a folder for the plan.
        progress: reports the rows written.

    Raises:
        ManifestError: a picture is listed twice.
    """
    _refuse_repeated(listed)
    rows = listed.rows.with_row_index("row")
    slides = (
        rows.group_by("slide").agg(first=pl.col("row").min(), count=pl.len()).collect(engine="streaming").sort("first")
    )
    slides = slides.with_columns(shard=pl.Series(pack(slides["count"].to_list(), kind, settings), dtype=pl.Int32))
    shards: list[Shard] = []
    parts: list[Path] = []
    heading = _heading(settings, kind, model)
    for chunk in _in_order(rows, slides):
        for (number,), own in chunk.group_by("shard", maintain_order=True):
            first = shards[-1].first + shards[-1].rows if shards else 0
            shards.append(Shard(int(number), _digest(heading, own), first, len(own), own["slide"].n_unique()))
        parts.append(scratch / f"part-{len(parts):06d}.parquet")
        chunk.write_parquet(parts[-1])
        progress("planning", shards[-1].first + shards[-1].rows, listed.count)
    content = {
        "settings": settings.model_dump(mode="json"),
        "kind": kind,
        "model": dict(model),
        "note": listed.note,
        "notice": RESEARCH_USE_ONLY,
        "provenance": provenance(),
        "shards": [shard[1:] for shard in shards],
    }
    path = scratch / PLAN_FILE
    pl.scan_parquet(parts).sink_parquet(path, metadata={_KEY: json.dumps(content)}, row_group_size=_GROUP_ROWS)
    return path


def pack(counts: Sequence[int], kind: str, settings: PlanSettings) -> list[int]:
    """The shard of each slide: neighbours together, up to ``shard_images``; a larger slide has a shard of its own.

    Args:
        counts: inputs of each slide.
        kind: of the inputs.
        settings: of the plan.
    """
    weight = WEIGHTS[kind]
    found, number, filled = [], 0, 0
    for count in counts:
        if filled and filled + count * weight > settings.shard_images:
            number, filled = number + 1, 0
        found.append(number)
        filled += count * weight
    return found


def _in_order(rows: pl.LazyFrame, slides: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of some shards at a time, slide by slide; memory holds one million rows or one shard."""
    lasts = slides.group_by("shard", maintain_order=True).agg(rows=pl.col("count").sum())
    group = lasts.select("shard", step=(pl.col("rows").cum_sum() - 1) // _PASS_ROWS)
    slides = slides.join(group, on="shard", maintain_order="left").with_row_index("order")
    neighbours = bool((slides["first"] == slides["count"].cum_sum() - slides["count"]).all())
    for _, some in slides.group_by("step", maintain_order=True):
        wanted = some.lazy().select("slide", "shard", "order")
        source = rows.slice(int(some["first"][0]), int(some["count"].sum())) if neighbours else rows
        found = source.join(wanted, on="slide").sort("order", "row")
        yield found.select("shard", "slide", "name", "path", "um_per_px").collect(engine="streaming")


def _heading(settings: PlanSettings, kind: str, model: Mapping[str, Any]) -> bytes:
    own = settings.model_dump(mode="json", exclude=set(_FREE))
    identity = {name: value for name, value in model.items() if name != "name"}
    return json.dumps([own | {"model": "", "detector": ""}, kind, identity], sort_keys=True).encode()


def _digest(heading: bytes, rows: pl.DataFrame) -> str:
    texts = rows.select(
        pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in rows.columns[1:]], separator="\0")
    ).to_series()
    digest = hashlib.sha256(heading)
    digest.update("\1".join(texts).encode())
    return digest.hexdigest()[:32]


def _refuse_repeated(listed: Listed) -> None:
    """Refuse a picture on two rows: it would be counted twice."""
    hashes = listed.rows.select(pl.col("path").hash()).filter(pl.col("path").is_not_null())
    if hashes.select(pl.len() - pl.col("path").n_unique()).collect(engine="streaming").item():
        twice = listed.rows.drop_nulls("path").group_by("path").len().filter(pl.col("len") > 1)
        found = twice.head(1).collect(engine="streaming")
        if len(found):
            raise ManifestError(f"{found['path'][0]}: is listed {found['len'][0]} times. Keep one of the rows.")


def to_parquet(table: pl.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    stream = BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()
