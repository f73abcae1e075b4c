"""How often `analyze` and `adapt` read each file of a slide of 200 cells, and how long `analyze` takes.

    python benchmarks/reads.py
    git worktree add ../before 50adde8 && python benchmarks/reads.py --before ../before/src

With ``--before``, the sources of an older checkout are measured in turn with these: the ratio is the median of pairs.
The slide is 200 validation cells of PBC Barcelona where LEUKOPY_DATA is set, else drawn cells. Writes
benchmarks/results/reads.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from PIL import Image

from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE
from results_file import write

CELLS = 200
PAIRS = 7
COUNTING = """
import json, sys, time
from collections import Counter
from pathlib import Path
folder, out, labels, what = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
opened = Counter()
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and str(arguments[0]).startswith(str(folder)):
        opened[str(arguments[0])] += 1
sys.addaudithook(hook)
if what == "analyze":
    from leukopy.workflows.analyze import AnalyzeSettings, analyze
    work = lambda: analyze(AnalyzeSettings(input=folder), out)
else:
    from leukopy.workflows.adapt import AdaptSettings, adapt
    work = lambda: adapt(AdaptSettings(labels=labels), out)
begin = time.process_time(), time.perf_counter()
work()
print(json.dumps({"reads": sum(opened.values()), "files": len(opened), "cpu_s": time.process_time() - begin[0],
                  "wall_s": time.perf_counter() - begin[1]}))
"""


def slide(folder: Path) -> Path:
    """Write the cells and a manifest of their labels."""
    folder.mkdir()
    if os.environ.get("LEUKOPY_DATA"):
        cells = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(
            pl.col("split") == "val", pl.col("code").is_in([c.code for c in FINE])
        )
        rows = list(cells.sample(CELLS, seed=0).select("path", "code").iter_rows())
    else:
        rows = []
        for index in range(CELLS):
            path = folder.parent / f"drawn{index}.jpg"
            code = FINE[index % len(FINE)].code
            Image.fromarray(draw_cell(code, seed=index, size=360).image).save(path, quality=92)
            rows.append((str(path), code))
    lines = ["path,label"]
    for index, (path, code) in enumerate(rows):
        name = f"cell{index:03}{Path(path).suffix}"
        shutil.copy(path, folder / name)
        lines.append(f"{folder / name},{code}")
    labels = folder.parent / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return labels


def measure(source: Path, what: str, folder: Path, labels: Path) -> dict[str, float]:
    out = folder.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(folder), str(out), str(labels), what],
        env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="sources of an older checkout")
    before, now = parser.parse_args().before, Path(__file__).parents[1] / "src"
    with TemporaryDirectory() as place:
        folder = Path(place) / "slide"
        labels = slide(folder)
        sources = {"now": now} | ({"before": before} if before else {})
        reads = {
            f"{what}, {name}": round(found["reads"] / CELLS, 2)
            for what in ("analyze", "adapt")
            for name, source in sources.items()
            for found in [measure(source, what, folder, labels)]
        }
        figures: dict[str, object] = {"cells": CELLS, "reads per file": reads}
        if before:
            pairs = [
                (measure(before, "analyze", folder, labels), measure(now, "analyze", folder, labels))
                for _ in range(PAIRS)
            ]
            for clock in ("cpu_s", "wall_s"):
                ratios = sorted(old[clock] / new[clock] for old, new in pairs)
                figures[f"analyze, times faster, {clock}"] = {
                    "median": round(statistics.median(ratios), 2),
                    "least": round(ratios[0], 2),
                    "most": round(ratios[-1], 2),
                }
        write("reads", figures)
        print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
