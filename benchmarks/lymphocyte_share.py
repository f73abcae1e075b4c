"""Share of a slide's cells that the cell model calls lymphocytes: the least with which a patient gets a decision.

    LEUKOPY_DATA=… python benchmarks/lymphocyte_share.py

Slides that must pass: the patients of the lymphocytosis cohort, and lymphocytes of other laboratories. Slides that must
not: other cells of these laboratories, whole fields, and drawn cells. PBC's test split is not read.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from PIL import Image

import results_file
from leukopy.inference.rows import CellInput
from leukopy.patients.data import open_cohort
from leukopy.patients.inference.cells import CellReader
from leukopy.patients.inference.flags import LEAST_LYMPHOCYTES, LYMPHOCYTE
from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES
from leukopy.patients.store import open_patient_bundle
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE

DATA = Path(os.environ.get("LEUKOPY_DATA", ""))
MOST = 200
"""Pictures of a slide, drawn at random from all; patients are read whole."""
LABORATORIES = ("pbc", "raabin", "chula", "bcisc", "cellavision", "hopkins")
LYMPHOID = {"lymphocyte_variant", "blast", "plasma_cell"}
"""Labels beside lymphocytes whose cells the model may well call lymphocytes: it has no class of their own."""
FIELDS = ("bccd", "chula", "chula_rbc12", "txl")


def laboratories() -> Iterator[tuple[str, str, list[Path]]]:
    """Laboratory, label and files of each slide of one kind of cell."""
    for name in LABORATORIES:
        table = pl.read_csv(DATA / "cells" / name / "labels.csv", infer_schema_length=None)
        table = table.rename({"class8": "label"}, strict=False)
        if "split" in table.columns:
            table = table.filter(pl.col("split") != "test")
        for (label,), rows in table.group_by("label", maintain_order=True):
            yield name, str(label), [DATA / "cells" / name / file for file in rows["file"]]


def drawn(folder: Path, count: int) -> Iterator[tuple[str, list[Path]]]:
    """A slide of drawn cells of each fine class."""
    for cell in FINE:
        paths = [folder / cell.code / f"{seed}.png" for seed in range(count)]
        for seed, path in enumerate(paths):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(draw_cell(cell.code, seed=seed).image).save(path)
        yield cell.code, paths


class Shares:
    """Shares of lymphocytes by group and slide."""

    def __init__(self) -> None:
        self.reader = CellReader(open_patient_bundle())
        self.rng = np.random.default_rng(0)
        self.found: dict[str, dict[str, float]] = defaultdict(dict)

    def add(self, group: str, slide: str, paths: Iterable[Path], most: int | None = MOST) -> None:
        files = np.array([str(path) for path in paths])
        files = files if most is None else self.rng.permutation(files)[:most]
        unmeasured = dict.fromkeys(files.tolist(), np.zeros(len(MORPHOLOGY_FEATURES), np.float32))
        read = self.reader.read([CellInput(file, file) for file in files.tolist()], unmeasured)
        classes = read.cells["coarse"]
        self.found[group][slide] = float((classes == LYMPHOCYTE).sum()) / max(len(classes), 1)


def main() -> None:
    shares = Shares()
    for name, label, paths in laboratories():
        if len(paths) >= 20:
            lymphoid = "lymphocytes" if label == "lymphocyte" else "lymphoid" if label in LYMPHOID else "other cells"
            group = f"{lymphoid}, patients with leukaemia" if name == "hopkins" else lymphoid
            shares.add(group, f"{name}: {label}", paths)
    for name in FIELDS:
        files = sorted(path for path in (DATA / "fields" / name).rglob("*") if path.suffix in (".webp", ".png", ".jpg"))
        shares.add("whole fields", name, files)
    with TemporaryDirectory() as scratch:
        for code, paths in drawn(Path(scratch), 30):
            shares.add("drawn lymphocytes" if code == LYMPHOCYTE else "drawn other cells", code, paths)
    cells = open_cohort(DATA / "patients" / "lymphocytosis").cells
    for (patient_id,), rows in cells.group_by("patient_id", maintain_order=True):
        shares.add("lymphocytosis", patient_id, map(Path, rows["path"]), most=None)
    cohort = np.array(sorted(shares.found.pop("lymphocytosis").values()))
    figures = {
        "least share for a decision": LEAST_LYMPHOCYTES,
        "lymphocytosis patients": {
            "patients": len(cohort),
            "with a decision": int((cohort >= LEAST_LYMPHOCYTES).sum()),
            "lowest shares": cohort[:5].round(3).tolist(),
            "median": round(float(np.median(cohort)), 3),
        },
        **{
            group: {slide: round(share, 3) for slide, share in sorted(slides.items())}
            for group, slides in sorted(shares.found.items())
        },
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    results_file.write("lymphocyte_share", figures)


if __name__ == "__main__":
    main()
