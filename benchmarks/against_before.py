"""The rows of an older checkout beside those of this one, on whole laboratories: what a rebuilt house may not change.

    git worktree add ../before 50adde8
    LEUKOPY_DATA=... python benchmarks/against_before.py --before ../before/src

Each laboratory is one slide, classified by the bundled model: accuracy over the coarse classes before and after (a
picture without a class is wrong), share of cells with the same classes, change of confidence. Raabin, Chula, BCISC and
CellaVision are in the training of that model, so their accuracies say nothing of new laboratories; of PBC Barcelona it
is the test split. Writes benchmarks/results/against_before.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.taxonomy import OUTSIDE, find
from results_file import write

LABORATORIES = {"pbc": "test", "raabin": None, "chula": None, "bcisc": None, "cellavision": None}
ROWS = """
import sys
import polars as pl
import leukopy
paths = open(sys.argv[1]).read().splitlines()
rows = leukopy.load("default").predict(paths).cells
rows = rows.rename({"class8": "coarse", "class11": "fine"}, strict=False)
rows.select("path", "coarse", "fine", "confidence", "flags").write_parquet(sys.argv[2])
"""


def rows(source: Path, paths: list[str], folder: Path) -> pl.DataFrame:
    listed, out = folder / "paths.txt", folder / "rows.parquet"
    listed.write_text("\n".join(paths))
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([sys.executable, "-c", ROWS, str(listed), str(out)], env=environment, check=True)
    return pl.read_parquet(out)


def compare(name: str, split: str | None, before: Path, folder: Path) -> dict[str, object]:
    cells = open_dataset(name, data_folder() / "cells" / name)
    cells = cells.filter(pl.col("code").is_not_null() & ~pl.col("code").is_in([cell.code for cell in OUTSIDE]))
    cells = cells.filter(split=split) if split else cells
    truth = cells.select("path", truth=pl.col("code").map_elements(lambda code: find(code).coarse, pl.String))
    old, new = (rows(source, cells["path"].to_list(), folder) for source in (before, Path(__file__).parents[1] / "src"))
    both = truth.join(old, on="path").join(new, on="path", suffix="_new")
    same = (pl.col("coarse") == pl.col("coarse_new")).fill_null(value=False)
    found = both.select(
        cells=pl.len(),
        accuracy_before=(pl.col("coarse") == pl.col("truth")).mean(),
        accuracy_now=(pl.col("coarse_new") == pl.col("truth")).fill_null(value=False).mean(),
        same_coarse=same.mean(),
        same_fine=(pl.col("fine") == pl.col("fine_new")).fill_null(value=False).mean(),
        unidentified_before=pl.col("flags").str.contains("unidentified").mean(),
        unidentified_now=pl.col("flags_new").str.contains("unidentified").mean(),
        without_class_now=pl.col("coarse_new").is_null().sum(),
        copies_now=pl.col("flags_new").str.contains("duplicate").sum(),
        median_change_of_confidence=(pl.col("confidence") - pl.col("confidence_new")).abs().median(),
    )
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in found.row(0, named=True).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="sources of an older checkout")
    before = parser.parse_args().before
    with TemporaryDirectory() as folder:
        figures = {name: compare(name, split, before, Path(folder)) for name, split in LABORATORIES.items()}
    write("against_before", figures)
    for name, found in figures.items():
        print(name, found)


if __name__ == "__main__":
    main()
