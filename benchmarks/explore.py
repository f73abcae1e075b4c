"""Time, memory and page of ``leukopy study explore`` on three sources, about 17,700 images, from an empty cache.

python benchmarks/explore.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from joblib import cpu_count

from leukopy.core.paths import data_folder
from results_file import write

SOURCES = ("pbc", "raabin", "cellavision")


def main() -> None:
    leukopy = Path(sys.executable).parent / "leukopy"
    inputs = [f"{name}={data_folder() / 'cells' / name}" for name in SOURCES]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        command = [str(leukopy), "explore", *inputs, "--level", "coarse", "--out", str(out)]
        environment = {**os.environ, "LEUKOPY_CACHE": str(Path(scratch) / "cache")}
        times = []
        for more in ([], ["--overwrite"]):  # the second finds all images measured
            load, begin = os.getloadavg()[0], time.perf_counter()
            subprocess.run([*command, *more], check=True, env=environment)
            times.append((time.perf_counter() - begin, load))
        figures = describe(out, times)
    print(figures)
    print(write("explore", figures))


def describe(out: Path, times: list[tuple[float, float]]) -> dict[str, object]:
    """Record of the runs: seconds of each, and the load of the machine at its start."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "explored": " ".join(f'{name}="$LEUKOPY_DATA"/cells/{name}' for name in SOURCES) + " --level coarse",
        "images": len(pl.read_parquet(out / "features.parquet", columns=["cell_id"])),
        "cores": cpu_count(),
        "seconds": round(times[0][0]),
        "seconds_again": round(times[1][0]),
        "load_at_start": [round(load, 1) for _, load in times],
        "cpu_seconds_of_both": round(used.ru_utime + used.ru_stime),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
        "page_mb": round((out / "report.html").stat().st_size / 1e6, 1),
        "scores": pl.read_csv(out / "scores.csv").to_dicts(),
    }


if __name__ == "__main__":
    main()
