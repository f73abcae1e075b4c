"""The one split of all pictures with boxes: ``field_split.csv``, made by ``make_split``.

Pictures that the sources share stand in it once. Pictures of PBC's test split and of BCCD's folder ``testing`` are
test; slides and near-doubles stay on one side; other pictures follow TXL-PBC's own split, and slides are dealt.
PBC's own 13,344 pictures keep PBC's split and are not listed, unless TXL-PBC has them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.files import file_digest, write_text
from leukopy.core.progress import Progress, silent
from leukopy.datasets.boxes import BOX_SOURCES, BoxedPicture
from leukopy.datasets.duplicates import THUMBNAIL_SIDE, clusters, find_duplicates

SPLIT_FILE = "field_split.csv"
UNLISTED = "pbc_boxes"
"""The source whose own split stands: PBC's."""

SHARES = {"train": 0.65, "val": 0.15, "test": 0.2}
"""Of the slides and pictures of a source that fixes no split."""


@cache
def field_split() -> dict[str, str]:
    """File below the data folder -> ``train``, ``val`` or ``test``."""
    text = (files("leukopy.datasets") / SPLIT_FILE).read_text(encoding="utf-8")
    return {row["file"]: row["split"] for row in csv.DictReader(io.StringIO(text))}


def pictures(source: str, data: Path, split: str | None = None) -> list[BoxedPicture]:
    """The pictures of a source in a split (None: in all), by the one split file.

    BCCD's own boxes are read only for pictures that TXL-PBC lacks, and PBC's single boxes likewise.

    Raises:
        InputError: a picture is not listed: the split was made from other files.
    """
    listed = field_split()
    shared = _boxed_by_txl()
    found = []
    for picture in BOX_SOURCES[source].read(data):
        if source in ("bccd", UNLISTED) and picture.file in shared:
            continue
        own = listed.get(picture.file, picture.split if source == UNLISTED else "")
        if split in (None, own):
            found.append(picture)
    return found


@cache
def _boxed_by_txl() -> frozenset[str]:
    text = (files("leukopy.datasets") / SPLIT_FILE).read_text(encoding="utf-8")
    return frozenset(row["file"] for row in csv.DictReader(io.StringIO(text)) if row["source"].startswith("txl"))


def make_split(data: Path, out: Path, progress: Progress = silent) -> dict[str, int]:
    """Write the split table, and count its pictures by split."""
    rows: dict[str, tuple[str, BoxedPicture]] = {}
    for source, entry in BOX_SOURCES.items():
        if source != UNLISTED:
            for picture in entry.read(data):
                rows.setdefault(picture.file, (source, picture))
    fixed = (picture for source in ("bccd", "txl_pbc") for picture in BOX_SOURCES[source].read(data))
    test = {picture.file for picture in fixed if picture.split == "test"}
    names = sorted(rows)
    units = _units([rows[name][1] for name in names], data, progress)
    splits = _deal(units, [rows[name] for name in names], test)
    lines = ["file,source,group,split"]
    for name, unit, split in zip(names, units, splits, strict=True):
        lines.append(f"{name},{rows[name][0]},{unit},{split}")
    write_text(out, "\n".join(lines) + "\n")
    return {split: splits.count(split) for split in ("train", "val", "test")}


def _units(found: Sequence[BoxedPicture], data: Path, progress: Progress) -> NDArray[np.int64]:
    """Number of the unit of each picture: slides and near-doubles, directly or through others."""
    thumbnails = np.empty((len(found), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    digests = []
    for index, picture in enumerate(found):
        progress("compare", index, len(found))
        digests.append(file_digest(data / picture.file))
        with Image.open(data / picture.file) as image:
            thumbnails[index] = np.asarray(image.convert("L").resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX))
    near = find_duplicates(digests, thumbnails).select("a", "b").to_numpy()
    first: dict[str, int] = {}
    slides = [(first.setdefault(p.group, row), row) for row, p in enumerate(found) if p.group]
    return clusters(len(found), near, np.array(slides, dtype=np.int64).reshape(-1, 2))


def _deal(units: NDArray[np.int64], rows: Sequence[tuple[str, BoxedPicture]], test: set[str]) -> list[str]:
    """One split for each unit: test where one of its pictures must be, the source's own for a single picture, else the
    split that lacks most pictures of the unit's source; units in the order of their digests."""
    chosen: dict[int, str] = {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    members = {int(unit): [rows[int(index)] for index in np.flatnonzero(units == unit)] for unit in np.unique(units)}
    for unit in sorted(members, key=lambda unit: hashlib.sha256(members[unit][0][1].file.encode()).digest()):
        source, first = members[unit][0]
        if any(picture.file in test for _, picture in members[unit]):
            chosen[unit] = "test"
        elif len(members[unit]) == 1 and first.split:
            chosen[unit] = first.split
        else:
            chosen[unit] = min(SHARES, key=lambda split: counts[source][split] / SHARES[split])
        counts[source][chosen[unit]] += len(members[unit])
    return [chosen[int(unit)] for unit in units]
