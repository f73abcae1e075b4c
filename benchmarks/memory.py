"""Peak memory and time of ``leukopy analyze`` for 1,000, 10,000 and 100,000 images (the same files repeated).

python benchmarks/memory.py [--images 1000 10000 100000]
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from images import jpegs
from results_file import write


def analyze(files: list[Path], count: int, scratch: Path) -> dict[str, float]:
    manifest = scratch / f"{count}.csv"
    with manifest.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["cell_id", "path"])
        rows.writerows((f"cell-{i}", path.resolve()) for i, path in enumerate(islice(cycle(files), count)))
    leuko = str(Path(sys.executable).parent / "leukopy")
    begin = time.perf_counter()
    process = subprocess.Popen([leuko, "analyze", str(manifest), "--out", str(scratch / f"out-{count}")],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"analyze of {count} images ended with status {status}")
    return {
        "images": count,
        "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        "seconds": round(seconds, 1),
        "images_per_s": round(count / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files, what = jpegs(Path(scratch))
        runs = []
        for count in options.images:
            runs.append(analyze(files, count, Path(scratch)))
            print(runs[-1], flush=True)
        print(write("memory", {"images": what, "runs": runs}))


if __name__ == "__main__":
    main()
