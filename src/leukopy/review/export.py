"""The corrected labels of signed cases as a zip that ``leukopy train`` and ``leukopy evaluate`` read.

It holds ``manifest.csv``, the pictures under the digest of their bytes, ``labels.csv`` with the laboratory's own
classes where cells have one, ``left_out.csv`` with what is missing and why, and ``README.txt``. No file name, patient
or slide goes into it: a patient is a pseudonym, so that the rows of one stay on one side of the split.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from io import RawIOBase

import polars as pl

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.datasets.manifest import MANIFEST_SCHEMA
from leukopy.datasets.splits import Fractions, split
from leukopy.imaging.formats import MEDIA_SUFFIXES
from leukopy.review.store.errors import Damaged, NotFound
from leukopy.review.store.images import ImageStore
from leukopy.review.store.results import SignedCell
from leukopy.taxonomy import COARSE, DISPLAY_ORDER, CellClass

SOURCE = "review"
"""The ``source`` of the rows: this station's laboratory."""

FRACTIONS: Fractions = (0.7, 0.15, 0.15)
"""Of the cells, for training, validation and test; a patient is never divided."""

_KNOWN = {*DISPLAY_ORDER, *(cell.code for cell in COARSE)}

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of the entries: the same labels give the same zip."""

_README = f"""{RESEARCH_USE_ONLY}

Cells of signed cases with the class that readers gave them, exported by leukopy review.

  leukopy adapt --labels leukopy-training.zip --out runs/ours      with this zip, as it is
  leukopy evaluate manifest.csv --out figures
  leukopy train recipe.yaml --out run      with, in the recipe:

    sources:
      - dataset: manifest
        root: /where/this/is/manifest.csv
        share: 1.0

Where labels.csv is there, it defines classes of your own: add --label-map labels.csv to leukopy evaluate and adapt, and
label_map: /where/this/is/labels.csv to the source of the recipe.

All cells of a patient are in one part of the split (train, val, test). With few patients a part may be empty: give the
column "split" of manifest.csv other values then, a whole group at a time, or none at all.
left_out.csv lists the cells that are not in the manifest, and why.
"""


@dataclass
class _Left:
    """Cells that are not exported."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def out(self, cell: SignedCell, reason: str) -> None:
        self.rows.append((_name(cell), cell.code or "", reason))

    def csv(self) -> str:
        schema = ["cell_id", "code", "reason"]
        return pl.DataFrame(self.rows, schema=dict.fromkeys(schema, pl.String), orient="row").write_csv()


class _Chunks(RawIOBase):
    """What a zip writes, taken away as it comes, so that no zip is ever whole in memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def training_zip(cells: Sequence[SignedCell], images: ImageStore, own: Sequence[CellClass] = ()) -> Iterator[bytes]:
    """The zip, some bytes at a time.

    A picture that lies in several cases is exported once, and not at all where readers gave it different classes.
    Args:
        cells: of all signed cases, as `Store.signed_cells` lists them.
        images: where their pictures lie.
        own: the laboratory's own classes.
    """
    left = _Left()
    chunks = _Chunks()
    exported: list[SignedCell] = []
    with zipfile.ZipFile(chunks, "w", zipfile.ZIP_STORED) as archive:
        for cell in _chosen(cells, left, {cell.code for cell in own}):
            try:
                data = images.read(cell.digest)
            except (NotFound, Damaged) as error:
                left.out(cell, str(error))
                continue
            archive.writestr(zipfile.ZipInfo(_path(cell), _DATE), data)
            exported.append(cell)
            yield chunks.take()
        for name, text in (
            ("manifest.csv", manifest(exported).write_csv()),
            *(("labels.csv", text) for text in _labels(exported, own)),
            ("left_out.csv", left.csv()),
            ("README.txt", _README),
        ):
            archive.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
            yield chunks.take()
    yield chunks.take()


def manifest(cells: Sequence[SignedCell]) -> pl.DataFrame:
    """A table of ``MANIFEST_SCHEMA``, split by patient, with one more column: what the model had said.

    Args:
        cells: each picture once; paths are relative to the manifest.
    """
    columns = {
        "cell_id": [_name(cell) for cell in cells],
        "path": [_path(cell) for cell in cells],
        "source": [SOURCE] * len(cells),
        "code": [cell.code for cell in cells],
        "group": [cell.group for cell in cells],
        "digest": [cell.digest for cell in cells],
    }
    table = pl.DataFrame(
        {name: columns.get(name, [None] * len(cells)) for name in MANIFEST_SCHEMA}, schema=MANIFEST_SCHEMA
    )
    model = pl.Series("model_code", [cell.model_code for cell in cells], dtype=pl.String)
    return split(table, FRACTIONS).with_columns(model)


def _labels(cells: Sequence[SignedCell], own: Sequence[CellClass]) -> Iterator[str]:
    """The table of the own classes that cells have (`taxonomy.read_label_table`); none without any."""
    used = [one for one in own if one.code in {cell.code for cell in cells}]
    if used:
        names = ("label", "code", "name", "french", "place", "colour")
        rows = [(one.code, one.code, one.name, one.french, one.place.value, one.colour) for one in used]
        yield pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").write_csv()


def _chosen(cells: Sequence[SignedCell], left: _Left, own: Collection[str]) -> Iterator[SignedCell]:
    """Each picture once, where all readers agree on it."""
    codes: dict[str, set[str]] = {}
    for cell in cells:
        if cell.code is not None and cell.not_counted != "void":
            codes.setdefault(cell.digest, set()).add(cell.code)
    seen: set[str] = set()
    for cell in cells:
        if cell.not_counted == "void":
            left.out(cell, "void: a reader took it out of the case")
        elif cell.code is None:
            left.out(cell, "no class: the image holds no single cell")
        elif cell.code not in _KNOWN and cell.code not in own:
            left.out(cell, "a class that the station does not hold")
        elif len(codes[cell.digest]) > 1:
            left.out(cell, f"the same picture has several classes: {', '.join(sorted(codes[cell.digest]))}")
        elif cell.digest in seen:
            left.out(cell, "the same picture is exported already")
        else:
            seen.add(cell.digest)
            yield cell


def _name(cell: SignedCell) -> str:
    return f"{SOURCE}/{cell.case_id}/{cell.cell}"


def _path(cell: SignedCell) -> str:
    return f"images/{cell.digest}{MEDIA_SUFFIXES[cell.media_type]}"
