"""Peak memory, time and processor time of ``leukopy analyze`` and ``leukopy predict`` for 1,000, 10,000 and 100,000
images (the same files repeated).

    python benchmarks/memory.py [--images 1000 10000 100000] [--model default] [--verb analyze predict]

The cost of an image is the processor time beyond that of the run before it, the first being one of 500 images: so
starting up and the report's pictures are not shared out over few images. It should be the same in every run.
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


def run(verb: str, model: str, files: list[Path], count: int, scratch: Path) -> dict[str, float]:
    manifest = scratch / f"{count}.csv"
    with manifest.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["cell_id", "path"])
        rows.writerows((f"cell-{i}", path.resolve()) for i, path in enumerate(islice(cycle(files), count)))
    leuko = str(Path(sys.executable).parent / "leukopy")
    out = scratch / (f"out-{count}" if verb == "analyze" else f"rows-{count}.parquet")
    begin = time.perf_counter()
    process = subprocess.Popen([leuko, verb, str(manifest), "--model", model, "--out", str(out)],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{verb} of {count} images ended with status {status}")
    return {
        "images": count,
        "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "images_per_s": round(count / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--model", default="default", help="a bundle, by name or folder")
    parser.add_argument("--verb", nargs="+", default=["analyze", "predict"], choices=["analyze", "predict"])
    options = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        files, figures["images"] = jpegs(Path(scratch))
        for verb in options.verb:
            runs = [run(verb, options.model, files, 500, Path(scratch))]
            for count in options.images:
                one = run(verb, options.model, files, count, Path(scratch))
                cost = 1000 * (one["cpu_seconds"] - runs[-1]["cpu_seconds"]) / (count - runs[-1]["images"])
                runs.append(one | {"cpu_ms_per_image": round(cost, 3)})
                print(verb, runs[-1], flush=True)
            figures[verb] = runs
        print(write("memory", figures))


if __name__ == "__main__":
    main()
