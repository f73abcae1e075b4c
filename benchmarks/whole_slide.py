"""Time, processor time and peak memory of drawing, checking and analysing a slide of a gigapixel, beside its truth.

python benchmarks/whole_slide.py [--side 32768] [--leukocytes 200]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from results_file import write


def run(*words: object) -> dict[str, float]:
    leukopy = Path(sys.executable).parent / "leukopy"
    begin = time.perf_counter()
    process = subprocess.Popen([str(leukopy), *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"leukopy {words[0]} ended with status {status}")
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def true_counts(objects: pl.DataFrame, squares: pl.DataFrame) -> dict[str, int]:
    """Objects whose centre lies in an analysed square."""
    places = objects.select("kind", x=pl.col("left") + pl.col("width") / 2, y=pl.col("top") + pl.col("height") / 2)
    inside = [
        places.filter(pl.col("x").is_between(x, x + width, "left"), pl.col("y").is_between(y, y + height, "left"))
        for x, y, width, height in squares.select("slide_x", "slide_y", "slide_width", "slide_height").rows()
    ]
    return dict(pl.concat(inside)["kind"].value_counts().sort("kind").rows())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32_768, help="pixels")
    parser.add_argument("--leukocytes", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drawn, out = Path(folder, "drawn"), Path(folder, "out")
        found: dict[str, object] = {
            "draw": run("draw", "slide", "--out", drawn, "--width", given.side, "--height", given.side),
            "check": run("slides", "check", drawn / "slide.tif"),
            "analyze": run("analyze", drawn / "slide.tif", "--out", out, "--leukocytes", given.leukocytes),
        }
        squares = pl.read_csv(out / "squares.csv")
        fields = pl.read_parquet(out / "fields.parquet")
        found |= {
            "megapixels": given.side**2 / 1e6,
            "file_mb": round((drawn / "slide.tif").stat().st_size / 1e6),
            "squares": json.loads((out / "run.json").read_text())["inputs"]["squares"],
            "analysed": len(fields),
            "found": {kind: int(fields[f"{kind}s"].sum()) for kind in ("leukocyte", "platelet", "red_cell")},
            "drawn": true_counts(pl.read_csv(drawn / "objects.csv"), squares.filter("analysed")),
        }
    print(json.dumps(found, indent=2))
    write("whole_slide", found)


if __name__ == "__main__":
    main()
