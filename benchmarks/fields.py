"""Time and memory of photographs of fields: from file to rows against decoding alone, and ``leukopy analyze`` on many.

    LEUKOPY_DATA=… python benchmarks/fields.py [--fields 10 100 1000]
    LEUKOPY_DATA=… python benchmarks/fields.py --memory   # 10 to 10,000 fields: peak memory and processor time

Photographs are the training fields of BCCD, 640 x 480 pixels; beyond their number, turned and mirrored ones, saved as
JPEG again with another quality. Of a step in this process, processor time per field is given, which hardly depends on
other work of the machine; divided by the number of cores it is the time that a field takes on an idle one. Costly are
small cells: drawn fields whose red cells measure 28 pixels (a 40x scanner) hold two hundred of them, and those of 14
pixels (20x), the least that is tried, hold nine hundred and are enlarged to twice their size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

from PIL import Image

import leukopy
from leukopy.fields.inputs import fields_of
from leukopy.fields.read import read_field
from leukopy.synthesis.appearance import PBC_LIKE
from leukopy.synthesis.field import draw_field
from leukopy.taxonomy.objects import RED_CELL_UM
from results_file import write

_TURNS = (None, *Image.Transpose)


def photographs(folder: Path, count: int) -> list[Path]:
    sources = sorted((Path(os.environ["LEUKOPY_DATA"]) / "fields" / "bccd" / "training" / "images").iterdir())
    folder.mkdir()
    for number, (quality, turn, source) in enumerate(islice(product(range(90, 50, -1), _TURNS, sources), count)):
        picture = Image.open(source).convert("RGB")
        (picture if turn is None else picture.transpose(turn)).save(folder / f"{number:05}.jpg", quality=quality)
    return sorted(folder.iterdir())


def drawn_fields(folder: Path, red_cell_px: int, count: int) -> list[Path]:
    folder.mkdir()
    look = PBC_LIKE.model_copy(update={"um_per_px": RED_CELL_UM / red_cell_px})
    for seed in range(count):
        drawn = draw_field({"SNE": 3, "LY": 1}, seed=seed, appearance=look, size=(480, 640))
        Image.fromarray(drawn.image).save(folder / f"{seed:05}.jpg", quality=95)
    return sorted(folder.iterdir())


def per_field(work: Callable[[], object], count: int) -> float:
    """Milliseconds of processor time."""
    begin = time.process_time()
    work()
    return round(1000 * (time.process_time() - begin) / count, 2)


def steps(paths: list[Path]) -> dict[str, float]:
    classifier, detector = leukopy.load(), leukopy.load_detector()
    inputs = fields_of(paths)
    classifier.fields(paths[:4], detector)
    fields = [read_field(one) for one in inputs]
    usual = detector.find(fields[0]).red_cell_px
    found = {
        "decode": per_field(lambda: [read_field(one) for one in inputs], len(inputs)),
        "detect, scale measured": per_field(lambda: [detector.find(one) for one in fields], len(inputs)),
        "detect, scale of the slide": per_field(lambda: [detector.find(one, usual) for one in fields], len(inputs)),
        "file to rows": per_field(lambda: classifier.fields(paths, detector), len(inputs)),
    }
    return {**found, "file to rows over decoding": round(found["file to rows"] / found["decode"], 1)}


def analysis(folder: Path, out: Path, count: int) -> dict[str, float]:
    begin = time.perf_counter()
    command = [str(Path(sys.executable).parent / "leukopy"), "analyze", str(folder), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return {
        "fields": count,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, nargs="+")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    counts = given.fields or [10, 100, 1000, *([10_000] if given.memory else [])]
    with tempfile.TemporaryDirectory() as scratch:
        runs = []
        for count in counts:
            paths = photographs(Path(scratch, str(count)), count)
            runs.append(analysis(paths[0].parent, Path(scratch, f"out-{count}"), count))
        if given.memory:  # on a busy machine the time that passes says nothing
            write("fields_memory", {"analyze": [{**run, "seconds": None} for run in runs]})
            return
        found: dict[str, object] = {
            "cpu milliseconds per field": steps(photographs(Path(scratch, "steps"), 100)),
            **{
                f"cpu milliseconds per drawn field, red cells of {px} pixels": steps(
                    drawn_fields(Path(scratch, f"drawn-{px}"), px, 40)
                )
                for px in (28, 14)
            },
            "analyze": runs,
        }
    print(found)
    write("fields", found)


if __name__ == "__main__":
    main()
