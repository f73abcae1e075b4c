"""Which cells come out as unidentified where a slide has fewer than 20: each alone, or among the few.

    LEUKOPY_DATA=... python benchmarks/few_cells.py

Few cells are drawn by chance, again and again, from laboratories of the training (PBC's validation split, Raabin,
Chula, BCISC, CellaVision), from two that no training saw (crops around TXL's boxes of white cells in fields of BCCD and
of TXL itself; all leukocytes of healthy people as far as is known, so that every flag is wrong), from PBC's cells with
another look, and from each patient of Hopkins, where blasts, smudge cells and their like are unknown to the model.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.bundle import open_bundle
from leukopy.core.errors import ImageError
from leukopy.core.paths import data_folder
from leukopy.imaging.decode import read_cell
from leukopy.inference import activations
from leukopy.slides.ood_correction import correct, estimate_shift
from leukopy.slides.survey import FAR
from results_file import write

SIZES = (1, 3, 5, 10, 19)
DRAWS = 2000
CROP, SHIFTED = 2.0, 0.15
"""Side of a crop, in sides of the box around the white cell; by how much of it a crop is moved to lie in its field."""
UNKNOWN = {
    "blast", "smudge", "giant_thrombocyte", "thrombocyte_aggregation", "plasma_cell", "lymphocyte_variant",
    "promonocyte",
}  # fmt: skip

BUNDLE = open_bundle("default")
Scores = tuple[NDArray[np.float32], NDArray[np.float32]]


def scores(pictures: Iterator[Image.Image | Path]) -> Scores:
    """Score and its part far, of the pictures that can be read."""
    pixels = []
    for picture in pictures:
        source: Path | bytes
        if isinstance(picture, Path):
            source = picture
        else:
            stream = BytesIO()
            picture.save(stream, "PNG")
            source = stream.getvalue()
        try:
            pixels.append(read_cell(source, BUNDLE.card.preprocess).pixels)
        except ImageError:
            continue
    found = activations(BUNDLE, np.stack(pixels), ("ood_score", FAR))
    return found["ood_score"].ravel(), found[FAR].ravel()


def white_cells(folder: str) -> Iterator[Image.Image]:
    """Square crops around the boxes of white cells, as far as these lie inside their field."""
    with (data_folder() / "fields/txl/boxes.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["class"] == "wbc" and row["file"].startswith(folder)]
    for row in rows:
        field = Image.open(data_folder() / row["file"]).convert("RGB")
        x, y, width, height = (float(row[name]) for name in ("x_centre", "y_centre", "width", "height"))
        side = CROP * max(width * field.width, height * field.height)
        wanted = np.array([x * field.width, y * field.height]) - side / 2
        found = np.clip(wanted, 0, np.array(field.size) - side)
        if side <= min(field.size) and np.abs(found - wanted).max() <= SHIFTED * side:
            left, top = found
            yield field.crop((int(left), int(top), int(left + side), int(top + side)))


def with_levels(
    change: Callable[[NDArray[np.float64]], NDArray[np.float64]], files: list[Path]
) -> Iterator[Image.Image]:
    for file in files:
        levels = change(np.asarray(Image.open(file).convert("RGB"), np.float64))
        yield Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def laboratories() -> dict[str, Scores]:
    cells, rng = data_folder() / "cells", np.random.default_rng(0)
    listed = pl.read_csv(cells / "pbc/labels.csv").filter(split="val")["file"].to_list()
    pbc = [cells / "pbc" / file for file in rng.permutation(listed)[:400]]
    found = {"pbc validation": scores(iter(pbc))}
    for name in ("raabin", "chula", "bcisc", "cellavision"):
        table = pl.read_csv(cells / name / "labels.csv", infer_schema_length=None)
        found[name] = scores(cells / name / file for file in table["file"])
    found["bccd, unseen"] = scores(white_cells("fields/bccd"))
    found["txl, unseen"] = scores(white_cells("fields/txl"))
    found["pbc, green cast"] = scores(with_levels(lambda level: level * [0.75, 0.95, 0.7], pbc))
    found["pbc, pale"] = scores(with_levels(lambda level: 255 - (255 - level) * [0.6, 0.8, 0.5], pbc))
    blurred = (Image.open(file).convert("RGB").filter(ImageFilter.GaussianBlur(2)) for file in pbc)
    found["pbc, blurred"] = scores(blurred)
    return found


def flags(found: Scores, rows: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Results for the cells of a small slide: each alone, and as one slide."""
    knowing = BUNDLE.card.open_set
    if knowing is None or knowing.baseline is None:
        raise SystemExit("the default model does not tell unidentified cells.")
    score, far = found[0][rows], found[1][rows]
    among = correct(score, far, estimate_shift(score, far, knowing.baseline))
    return score > knowing.threshold, among > knowing.threshold


def main() -> None:
    rng = np.random.default_rng(0)
    figures: dict[str, object] = {}
    for name, found in laboratories().items():
        own: dict[str, object] = {"cells": len(found[0])}
        for size in SIZES:
            groups = [rng.choice(len(found[0]), size, replace=False) for _ in range(DRAWS // size)]
            alone, among = np.mean([[one.mean() for one in flags(found, rows)] for rows in groups], axis=0)
            own[f"{size} cells"] = {"alone": round(float(alone), 3), "among the few": round(float(among), 3)}
        figures[name] = own
        print(name, own, flush=True)
    table = pl.read_csv(data_folder() / "cells/hopkins/labels.csv")
    found = scores(data_folder() / "cells/hopkins" / file for file in table["file"])
    unknown, patients = table["label"].is_in(UNKNOWN).to_numpy(), table["patient"].to_numpy()
    own = {"cells": len(table), "unknown": int(unknown.sum())}
    for size in SIZES:
        seen = []
        for _ in range(DRAWS // size):
            rows = rng.choice(np.flatnonzero(patients == rng.choice(patients)), size, replace=False)
            seen.append(np.stack([unknown[rows], *flags(found, rows)]))
        truth, alone, among = np.concatenate(seen, axis=1)
        own[f"{size} cells"] = {
            f"{kind}, {what}": round(float(up[rows].mean()), 3)
            for kind, rows in (("known", ~truth), ("unknown", truth))
            for what, up in (("alone", alone), ("among the few", among))
        }
    figures["hopkins, by patient"] = own
    print(own)
    print(write("few_cells", figures))


if __name__ == "__main__":
    main()
