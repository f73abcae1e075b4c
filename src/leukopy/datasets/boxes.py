"""Public pictures with boxes or points around cells: one reader and one card per source.

Every file is named from the data folder (``LEUKOPY_DATA``), since the sources share pictures: TXL-PBC boxes pictures of
PBC, Raabin and BCCD again.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from leukopy.core.errors import InputError
from leukopy.core.registry import Registry
from leukopy.core.text import read_text
from leukopy.taxonomy.objects import LEUKOCYTE, PLATELET, RED_CELL


@dataclass(frozen=True)
class Box:
    """One marked object."""

    kind: str
    """One of ``OBJECTS``."""
    left: float
    """Pixels of the picture."""
    top: float
    width: float
    """0 for a point, whose place ``left`` and ``top`` then are."""
    height: float
    unsure: bool = False
    """It may be missed as well as found."""


@dataclass(frozen=True)
class BoxedPicture:
    """One picture and its marked objects."""

    file: str
    """Path below the data folder, separated by ``/``."""
    boxes: tuple[Box, ...]
    group: str = ""
    """Slide, where the source tells it: pictures of a group never stand in two splits."""
    split: str = ""
    """Split that the source fixes; empty where it fixes none."""


@dataclass(frozen=True)
class BoxSource:
    """One source: its card, the completeness of its labels, and its reader."""

    title: str
    citation: str
    licence: str
    complete: tuple[str, ...]
    """Kinds whose objects are all boxed, so that the rest of the picture shows none."""
    partial: tuple[str, ...]
    """Kinds of which some objects are marked; the rest of the picture says nothing of them."""
    red_cell: float
    """Diameter of a typical red cell, as a share of the picture's width; see ``measured``."""
    measured: str
    """Origin of ``red_cell``."""
    read: Callable[[Path], Iterator[BoxedPicture]]
    points: bool = False
    """It marks red cells by points, within the cell but not at its middle."""
    notes: tuple[str, ...] = ()


DRAWN = "drawn"
"""Name of drawn fields among the sources; `synthesis.field` draws them."""
_KINDS = {"wbc": LEUKOCYTE, "rbc": RED_CELL, "platelet": PLATELET, "platelets": PLATELET}
_RAABIN_SLIDE = re.compile(r"(\d{8}|\d+-\d+-\d+-\d+)_")


def _shares(path: Path, data: Path, chosen: str) -> Iterator[BoxedPicture]:
    """Pictures of a table of boxes (shares of the picture) whose file begins with ``chosen``."""
    for name, rows in _by_file(path).items():
        if name.startswith(chosen):
            wide, high = _size(data / name)
            boxes = []
            for row in rows:
                width, height = float(row["width"]) * wide, float(row["height"]) * high
                left, top = float(row["x_centre"]) * wide - width / 2, float(row["y_centre"]) * high - height / 2
                boxes.append(Box(_KINDS[row["class"]], left, top, width, height))
            yield BoxedPicture(name, tuple(boxes), _slide(name), rows[0]["split"])


def _by_file(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a table by their column ``file``, in the table's order."""
    files = defaultdict(list)
    for row in csv.DictReader(read_text(path).splitlines()):
        files[row["file"]].append(row)
    return files


def _slide(file: str) -> str:
    """The slide of a picture of Raabin, by its name; no other source of TXL-PBC tells one."""
    name = Path(file).name
    found = _RAABIN_SLIDE.match(name) if "/raabin/" in file else None
    return f"raabin {found[1]}" if found else ""


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}). Check LEUKOPY_DATA.") from error


def _txl(folder: str) -> Callable[[Path], Iterator[BoxedPicture]]:
    return lambda data: _shares(data / "fields/txl/boxes.csv", data, folder)


def pbc_boxes(data: Path) -> Iterator[BoxedPicture]:
    """PBC pictures with one box around the white cell."""
    yield from _shares(data / "fields/pbc_boxes/boxes.csv", data, "cells/pbc/")


def bccd(data: Path) -> Iterator[BoxedPicture]:
    """BCCD pictures with their own boxes of white cells; its folder ``testing`` is the split test."""
    for part, split in (("testing", "test"), ("training", "")):
        root = data / "fields/bccd" / part
        for path in sorted((root / "annotations").glob("*.xml")):
            yield BoxedPicture(f"fields/bccd/{part}/images/{path.stem}.jpg", tuple(_voc(path)), split=split)


def _voc(path: Path) -> Iterator[Box]:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not an XML file ({error}).") from error
    for item in root.iter("object"):
        kind = _KINDS[item.findtext("name", "").lower()]
        left, top, right, bottom = (
            float(item.findtext(f"bndbox/{end}", "0")) for end in ("xmin", "ymin", "xmax", "ymax")
        )
        if kind == LEUKOCYTE:
            yield Box(kind, left, top, right - left, bottom - top)


def chula(data: Path) -> Iterator[BoxedPicture]:
    """Chulalongkorn fields, YOLO boxes of white cells; the slide is the name up to the last ``_``."""
    for part in ("train", "valid"):
        root = data / "fields/chula" / part
        for path in sorted((root / "images").iterdir()):
            wide, high = _size(path)
            boxes = []
            for line in (root / "labels" / f"{path.stem}.txt").read_text(encoding="utf-8").splitlines():
                x, y, width, height = (float(value) for value in line.split()[1:5])
                boxes.append(
                    Box(LEUKOCYTE, (x - width / 2) * wide, (y - height / 2) * high, width * wide, height * high)
                )
            yield BoxedPicture(path.relative_to(data).as_posix(), tuple(boxes), f"chula {path.stem.rpartition('_')[0]}")


def chula_completed(data: Path) -> Iterator[BoxedPicture]:
    """The fields of `chula`, with the white cells that its labels miss."""
    missed = _by_file(Path(str(files("leukopy.datasets"))) / "chula_missed.csv")
    for picture in chula(data):
        more = []
        for row in missed.get(picture.file, ()):
            left, top, width, height = (float(row[side]) for side in ("left", "top", "width", "height"))
            more.append(Box(LEUKOCYTE, left, top, width, height, row["unsure"] == "1"))
        yield replace(picture, boxes=(*picture.boxes, *more))


def rbc12(data: Path) -> Iterator[BoxedPicture]:
    """Chulalongkorn RBC-12 fields with a point on some of the red cells."""
    root = data / "fields/chula_rbc12"
    groups = {file: rows[0]["group"] for file, rows in _by_file(root / "labels.csv").items()}
    for file, rows in _by_file(root / "points.csv").items():
        points = tuple(Box(RED_CELL, float(row["x"]), float(row["y"]), 0, 0) for row in rows)
        group = groups.get(file)
        yield BoxedPicture(f"fields/chula_rbc12/{file}", points, f"rbc12 {group}" if group else "")


_TXL_CITATION = (
    "Gan L, Li X, Wang X. A curated and re-annotated peripheral blood cell dataset integrating four public resources "
    "(TXL-PBC). arXiv:2407.13214 (2024)."
)
_ALL = (LEUKOCYTE, RED_CELL, PLATELET)
_MEDIAN = "median of the whole red cells' boxes"


def _txl_source(name: str, folder: str, red_cell: float, licence: str) -> BoxSource:
    return BoxSource(
        title=f"TXL-PBC: boxes on {name}",
        citation=_TXL_CITATION,
        licence=licence,
        complete=_ALL,
        partial=(),
        red_cell=red_cell,
        measured=_MEDIAN,
        read=_txl(folder),
        notes=("Cells cut by the edge are boxed or not at random.",),
    )


BOX_SOURCES: Registry[BoxSource] = Registry(
    "source of boxes",
    {
        "txl_pbc": _txl_source("pictures of PBC Barcelona", "cells/pbc/", 0.219, "MIT (boxes), CC BY 4.0 (pictures)"),
        "txl_raabin": _txl_source(
            "pictures of Raabin-WBC", "cells/raabin/", 0.238, "MIT (boxes), free access, not confirmed (pictures)"
        ),
        "txl_bccd": _txl_source("pictures of BCCD", "fields/bccd/", 0.161, "MIT"),
        "txl_own": _txl_source("its own pictures", "fields/txl/", 0.236, "MIT"),
        "bccd": BoxSource(
            title="BCCD: blood cell count and detection, corrected boxes of white cells",
            citation="Shenggan. BCCD dataset. https://github.com/Shenggan/BCCD_Dataset (2018); boxes corrected by "
            "Alam MM, Islam MT. Machine learning approach of automatic identification and counting of blood cells. "
            "Healthcare Technology Letters 6, 103-108 (2019).",
            licence="MIT",
            complete=(LEUKOCYTE,),
            partial=(),
            red_cell=0.161,
            measured="txl_bccd",
            read=bccd,
            notes=("Its boxes leave out many red cells and platelets: those are not read.",),
        ),
        "pbc_boxes": BoxSource(
            title="PBC Barcelona: one box around the white cell of 13,344 pictures",
            citation="Acevedo A, Merino A, Alférez S, et al. Data in Brief 30, 105474 (2020). "
            "doi:10.1016/j.dib.2020.105474",
            licence="CC BY 4.0",
            complete=(),
            partial=(LEUKOCYTE,),
            red_cell=0.219,
            measured="txl_pbc",
            read=pbc_boxes,
        ),
        "chula": BoxSource(
            title="Chulalongkorn white-cell fields",
            citation="White Blood Cells (WBC) samples. Embedded System and Integrated Circuit Design Laboratory, "
            "Chulalongkorn University, Bangkok (2022). github.com/singgihbekti/WBC_Dataset",
            licence="MIT",
            complete=(LEUKOCYTE,),
            partial=(),
            red_cell=0.053,
            measured="by eye",
            read=chula,
            notes=("Blurred, strong colour casts, refractile red cells; some white cells are not boxed.",),
        ),
        "chula_completed": BoxSource(
            title="Chulalongkorn white-cell fields, labels completed",
            citation="White Blood Cells (WBC) samples. Embedded System and Integrated Circuit Design Laboratory, "
            "Chulalongkorn University, Bangkok (2022). github.com/singgihbekti/WBC_Dataset; completed for leukopy.",
            licence="MIT",
            complete=(LEUKOCYTE,),
            partial=(),
            red_cell=0.053,
            measured="by eye",
            read=chula_completed,
            notes=(
                "A detector that was not trained on these fields proposed unlabelled objects; the 90 likeliest were "
                "judged by eye. 14 are white cells, 13 are unsure (cut, smudged).",
            ),
        ),
        "rbc12": BoxSource(
            title="Chulalongkorn RBC-12: points on red cells",
            citation="Naruenatthanaset K, Chalidabhongse TH, Palasuwan D, Anantrasirichai N, Palasuwan A. Red blood "
            "cell segmentation with overlapping cell separation and classification on imbalanced dataset. "
            "arXiv:2012.01321 (2020).",
            licence="MIT",
            complete=(),
            partial=(RED_CELL,),
            red_cell=0.061,
            measured="scale bar, 0.19 µm per pixel",
            read=rbc12,
            points=True,
        ),
    },
)
"""One entry per source."""
