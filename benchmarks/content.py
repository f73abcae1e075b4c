"""Detection of pictures without a cell and of fields of view: false alarms on cells, and detections.

    LEUKOPY_DATA=... python benchmarks/content.py

False alarms are counted on cells of seven sources, picture by picture and by slide (a patient, or 50 pictures in their
order). Found are to be: drawn frames (dark, bright, noise, text), squares of real pictures that hold no box of TXL's
(empty) or boxes of red cells alone (red), and whole fields. The limits were set with the sources marked "limits" and
with fields of BCCD and RBC-12; of the others some pictures were looked at meanwhile, but for PBC's test split and two
thirds of the lymphocytosis pictures.
"""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from images import jpegs
from leukopy.core.errors import ImageError
from leukopy.core.paths import data_folder
from leukopy.imaging.content import Content, contents, slide_content
from leukopy.imaging.decode import read_cell, read_picture
from leukopy.imaging.overview import overview
from leukopy.imaging.preprocess import Preprocess
from results_file import write

SPEC = Preprocess(size=112, crop=0.625)
PICTURES = {".jpg", ".png", ".webp"}
LIMITS = ("pbc train", "hopkins", "chula")
SLIDE, LEAST = 50, 20
Box = tuple[str, float, float, float, float]


def cell_sources() -> dict[str, list[tuple[str, Path]]]:
    """Slide (or "" where it is unknown) and file of the cells of each source."""
    root, rng = data_folder(), np.random.default_rng(0)
    pbc = pl.read_csv(root / "cells/pbc/labels.csv")
    sources: dict[str, list[tuple[str, Path]]] = {}
    for split, most in (("train", 3000), ("val", None), ("test", None)):
        files = pbc.filter(split=split)["file"].to_list()
        sources[f"pbc {split}"] = [("", root / "cells/pbc" / file) for file in rng.permutation(files)[:most]]
    for name in ("raabin", "chula", "cellavision", "bcisc", "hopkins"):
        table = pl.read_csv(root / "cells" / name / "labels.csv", infer_schema_length=None)
        if name == "bcisc":
            table = table.filter(pl.col("clean").cast(pl.String) == "1")
        slides = table["patient"].to_list() if name == "hopkins" else [""] * len(table)
        sources[name] = [(s, root / "cells" / name / f) for s, f in zip(slides, table["file"], strict=True)]
    patients = files_of(root / "patients/lymphocytosis")
    sources["lymphocytosis"] = [(file.parent.name, file) for file in patients]
    return sources


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in PICTURES)


def of_files(files: list[Path]) -> list[Content | None]:
    """Content of each file; None where it cannot be read."""
    overviews, sizes, read = [], [], []
    for file in files:
        try:
            picture = read_picture(file, SPEC.short_side)
        except ImageError:
            read.append(False)
            continue
        overviews.append(overview(picture.image))
        sizes.append((picture.width, picture.height))
        read.append(True)
    found = iter(contents(np.array(overviews), np.array(sizes)))
    return [next(found) if there else None for there in read]


def of_images(images: list[Image.Image]) -> list[Content]:
    return contents(np.stack([overview(image) for image in images]), np.array([image.size for image in images]))


def figures(found: list[Content | None]) -> dict[str, object]:
    seen = [one for one in found if one is not None]
    kinds = Counter(one.kind for one in seen)
    return {
        "pictures": len(seen),
        "no_cell": round(kinds["no_cell"] / len(seen), 4),
        "no class": round(1 - kinds["cell"] / len(seen), 4),
        "several_cells": round(kinds["several_cells"] / len(seen), 4),
        "not centred": round(sum(not one.centred for one in seen) / len(seen), 4),
        "causes": dict(Counter(one.cause for one in seen if one.cause).most_common()),
    }


def by_slide(slides: list[str], found: list[Content | None]) -> dict[str, object]:
    """Number of slides detected as fields; without slides, groups of ``SLIDE`` pictures in their order."""
    groups: dict[object, list[Content]] = defaultdict(list)
    for place, (slide, one) in enumerate(zip(slides, found, strict=True)):
        if one is not None:
            groups[slide or place // SLIDE].append(one)
    told = [slide_content(group) for group in groups.values() if len(group) >= LEAST]
    shares = [one.uncentred / max(1, one.cells + one.several_cells) for one in told]
    return {
        "slides": len(told),
        "told to be fields": sum(one.fields for one in told),
        "share not centred": [round(min(shares), 3), round(max(shares), 3)],
    }


def as_image(levels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def side_of(rng: np.random.Generator) -> int:
    return int(rng.integers(64, 400))


def dark(rng: np.random.Generator) -> Image.Image:
    side = side_of(rng)
    level = rng.uniform(0, 30) * rng.uniform(0.5, 1.5, 3) + rng.normal(0, rng.uniform(0, 10), (side, side, 3))
    level[rng.integers(0, side, 10), rng.integers(0, side, 10)] = 255  # hot pixels
    return as_image(level)


def illumination(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    row, column = rng.uniform(-0.6, 0.6, 2)
    fall = 1 + rng.uniform(0, 0.8) * ((x - column) ** 2 + (y - row) ** 2)
    return ((1 + rng.uniform(-0.2, 0.2) * x) / fall**2)[..., None]


def bright(rng: np.random.Generator) -> Image.Image:
    side = side_of(rng)
    level = rng.uniform(160, 255, 3) * illumination(rng, side) + rng.normal(0, rng.uniform(0, 8), (side, side, 3))
    return as_image(level).filter(ImageFilter.GaussianBlur(float(rng.choice([0, 1]))))


def dust(rng: np.random.Generator) -> Image.Image:
    side = 300
    y, x = np.mgrid[:side, :side]
    level = 225 * illumination(rng, side)
    for _ in range(int(rng.integers(1, 4))):
        (row, column), radius = rng.uniform(0, side, 2), rng.uniform(3, 20)
        level = level * (1 - 0.15 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2 / radius**2))[..., None]
    return as_image(level + rng.normal(0, 3, (side, side, 3)))


def plain(rng: np.random.Generator) -> Image.Image:
    side = side_of(rng)
    return Image.new("RGB", (side, side), tuple(int(level) for level in rng.integers(0, 256, 3)))


def noise(rng: np.random.Generator) -> Image.Image:
    side = side_of(rng)
    return as_image(rng.normal(128, rng.uniform(20, 80), (side, side, 3)))


def text(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (300, 300), "white")
    pen = ImageDraw.Draw(page)
    for line in range(8, 290, 14):
        pen.text((8, line), " ".join(f"{number:.2f}" for number in rng.uniform(0, 99, 7)), fill=(30, 30, 30))
    return page


def boxes() -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = defaultdict(list)
    with (data_folder() / "fields/txl/boxes.csv").open() as stream:
        for row in csv.DictReader(stream):
            x, y, width, height = (float(row[name]) for name in ("x_centre", "y_centre", "width", "height"))
            found[row["file"]].append((row["class"], x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return found


def squares(rng: np.random.Generator, folder: str, *, red: bool) -> Iterator[Image.Image]:
    """The largest of some squares of each picture that hold no box, or boxes of two red cells or more alone."""
    for file, own in boxes().items():
        if not file.startswith(folder):
            continue
        image = Image.open(data_folder() / file).convert("RGB")
        width, height = image.size
        best: tuple[float, float, float] | None = None
        for _ in range(60):
            side = rng.uniform(0.3 if red else 0.1, 0.7) * min(width, height)
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
            inside = [
                kind
                for kind, x0, y0, x1, y1 in own
                if x0 * width < left + side and x1 * width > left and y0 * height < top + side and y1 * height > top
            ]
            wanted = len(inside) >= 2 and set(inside) == {"rbc"} if red else not inside
            if wanted and side >= 24 and (best is None or side > best[2]):
                best = (left, top, side)
        if best is not None:
            left, top, side = best
            yield image.crop((int(left), int(top), int(left + side), int(top + side)))


def speed(scratch: Path) -> dict[str, float]:
    """Milliseconds of one core for a picture, the fastest of some rounds."""
    files, _ = jpegs(scratch)
    data = [file.read_bytes() for file in files[:64]]
    pictures = [read_picture(one, SPEC.short_side) for one in data]
    overviews = np.stack([overview(one.image) for one in pictures])
    sizes = np.array([(one.width, one.height) for one in pictures])

    def measured(work: Callable[[], object]) -> float:
        times = []
        for _ in range(20):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return round(min(times) / len(data) * 1000, 3)

    return {
        "read_cell": measured(lambda: [read_cell(one, SPEC) for one in data]),
        "overview": measured(lambda: [overview(one.image) for one in pictures]),
        "contents": measured(lambda: contents(overviews, sizes)),
    }


def main() -> None:
    cells: dict[str, object] = {}
    for name, listed in cell_sources().items():
        found = of_files([file for _, file in listed])
        own = {"limits": name in LIMITS, **figures(found), "by slide": by_slide([s for s, _ in listed], found)}
        cells[name] = own
        print(name, own, flush=True)
    rng = np.random.default_rng(0)
    empty: dict[str, object] = {}
    for make in (dark, bright, dust, plain, noise, text):
        empty[make.__name__] = figures(list(of_images([make(rng) for _ in range(200)])))
    for folder in ("fields/bccd", "fields/txl", "cells/pbc", "cells/raabin"):
        for red in (False, True):
            name = f"{'red cells' if red else 'empty'} of {folder}"
            empty[name] = figures(list(of_images(list(squares(rng, folder, red=red)))))
    fields: dict[str, object] = {}
    for name in ("bccd", "chula", "chula_rbc12", "txl"):
        files = files_of(data_folder() / "fields" / name)
        found = of_files(files)
        fields[name] = {**figures(found), "by slide": by_slide([""] * len(files), found)}
    print(write("content", {"cells": cells, "no cell": empty, "fields": fields, "ms": speed(Path("unused"))}))


if __name__ == "__main__":
    main()
