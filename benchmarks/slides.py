"""A run of 100 drawn slides of 200 cells, 20 of them damaged: everything accounted for, killed, resumed, in parallel.

    python benchmarks/slides.py

It draws the slides, analyses them with one process and with two (the ratio), kills a third run twice with SIGKILL,
resumes it, and compares its table with that of the first. Writes benchmarks/results/slides.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.synthesis import PBC_LIKE, draw_cell, draw_field
from results_file import write

CELLS = 200
MIXTURE = (
    ("SNE", 0.54), ("BNE", 0.03), ("EO", 0.03), ("BA", 0.01), ("LY", 0.28), ("MO", 0.06), ("MMY", 0.01), ("ERB", 0.01),
    ("PLT", 0.03),
)  # fmt: skip
Picture = NDArray[np.uint8]


def pool(size: int, rng: np.random.Generator) -> dict[str, list[Picture]]:
    """Some drawn cells of each class; slides hold turned and relit variants of them."""
    return {
        code: [
            draw_cell(code, seed=int(rng.integers(2**31)), size=160, appearance=PBC_LIKE).image
            for _ in range(max(8, int(size * share)))
        ]
        for code, share in MIXTURE
    }


def variant(picture: Picture, rng: np.random.Generator) -> Picture:
    turned = np.rot90(picture, int(rng.integers(4)))
    lit = (turned[:, :: int(rng.choice([1, -1]))] * rng.uniform(0.95, 1.0)).astype(np.uint8)
    lit[0, 0] = rng.integers(0, 256, 3)  # no two pictures are copies of each other
    return np.ascontiguousarray(lit)


def draw_slide(folder: Path, cells: dict[str, list[Picture]], rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    codes, shares = zip(*MIXTURE, strict=True)
    for index, code in enumerate(rng.choice(codes, CELLS, p=np.array(shares) / sum(shares))):
        picture = variant(cells[code][int(rng.integers(len(cells[code])))], rng)
        Image.fromarray(picture).save(folder / f"cell{index:03}.jpg", quality=92)


def each(folder: Path, change: Callable[[Image.Image], Image.Image]) -> None:
    for path in folder.iterdir():
        change(Image.open(path).convert("RGB")).save(path, quality=98)


def noise(level: float) -> Callable[[Image.Image], Image.Image]:
    rng = np.random.default_rng(int(level))
    return lambda image: Image.fromarray(
        (level + rng.uniform(0, 4) + rng.normal(0, 2, (*image.size[::-1], 3))).clip(0, 255).astype("uint8")
    )


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


def keep(folder: Path, count: int) -> None:
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()


def fields(folder: Path) -> None:
    keep(folder, 0)
    for index in range(40):
        Image.fromarray(draw_field({"SNE": 3, "LY": 2}, seed=index).image).save(folder / f"field{index}.jpg")


def deep(folder: Path) -> None:
    """The cells as 12-bit values in 16-bit TIFF."""
    for path in list(folder.iterdir()):
        values = np.asarray(Image.open(path).convert("RGB")).astype(np.uint16) * 16
        tifffile.imwrite(path.with_suffix(".tif"), values, photometric="rgb")
        path.unlink()


def stack(folder: Path) -> None:
    pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())[:30]])
    keep(folder, 0)
    tifffile.imwrite(folder / "stack.tif", pictures, photometric="rgb")


def copies(folder: Path) -> None:
    for path in list(folder.iterdir()):
        shutil.copy(path, path.with_name(f"{path.stem} (1).jpg"))


def thumbnails(folder: Path) -> None:
    for path in list(folder.iterdir()):
        place = folder / "@eaDir" / path.name
        place.mkdir(parents=True)
        Image.open(path).resize((64, 64)).save(place / "SYNOPHOTO_THUMB_M.jpg")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")


def odd_names(folder: Path) -> None:
    for index, path in enumerate(list(folder.iterdir())):
        path.rename(folder / f"é {index} 'q' ;,%&.jpg")


def half_dark(folder: Path) -> None:
    dark = noise(6)
    for path in sorted(folder.iterdir())[::2]:
        dark(Image.open(path)).save(path, quality=98)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no file": lambda folder: keep(folder, 0),
    "other formats": lambda folder: [path.rename(path.with_suffix(".czi")) for path in list(folder.iterdir())] and None,
    "dark frames": lambda folder: each(folder, noise(6)),
    "blank frames": lambda folder: each(folder, noise(236)),
    "half dark": half_dark,
    "three cells": lambda folder: keep(folder, 3),
    "fifteen cells": lambda folder: keep(folder, 15),
    "all truncated": lambda folder: [truncate(path) for path in folder.iterdir()] and None,
    "a tenth truncated": lambda folder: [truncate(path) for path in sorted(folder.iterdir())[::10]] and None,
    "empty files": lambda folder: [path.write_bytes(b"") for path in sorted(folder.iterdir())[::7]] and None,
    "text as pictures": lambda folder: [path.write_text("no picture") for path in folder.iterdir()] and None,
    "fields of view": fields,
    "every picture twice": copies,
    "thumbnails of a storage box": thumbnails,
    "12 bits in 16": deep,
    "one stack": stack,
    "out of focus": lambda folder: each(folder, lambda image: image.filter(ImageFilter.GaussianBlur(6))),
    "green cast": lambda folder: each(
        folder, lambda image: Image.fromarray((np.asarray(image) * (0.45, 0.9, 0.4)).astype(np.uint8))
    ),
    "odd names": odd_names,
    "colours swapped": lambda folder: each(folder, lambda image: Image.fromarray(np.asarray(image)[..., ::-1].copy())),
}


def command(slides: Path, out: Path, *options: str) -> list[str]:
    code = "from leukopy.cli.main import main; main()"
    return [sys.executable, "-c", code, "analyze", str(slides), "--slides", "--out", str(out), *options]


def timed(slides: Path, out: Path, processes: int) -> float:
    begin = time.perf_counter()
    done = subprocess.run(
        command(slides, out, "--processes", str(processes), "--threads", "1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 3:  # some slides are damaged
        raise SystemExit(f"unexpected exit {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - begin


def killed_and_resumed(slides: Path, out: Path, seconds: float) -> int:
    """Kill a run twice, at a third of its time each, then let it end; returns slides done before the last start."""
    for _ in range(2):
        options = ("--resume",) if out.exists() else ()
        with subprocess.Popen(
            command(slides, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            time.sleep(seconds / 3)
            os.killpg(process.pid, signal.SIGKILL)
    done = sum('"status": "finished"' in path.read_text() for path in (out / "slides").glob("*/run.json"))
    subprocess.run(command(slides, out, "--resume"), capture_output=True, check=False)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=100)
    count, rng = parser.parse_args().slides, np.random.default_rng(0)
    cells = pool(400, rng)
    with TemporaryDirectory() as folder:
        slides = Path(folder) / "slides"
        for index in range(count):
            draw_slide(slides / f"slide{index:03}", cells, rng)
        spoiled = dict(zip([f"slide{index:03}" for index in range(2, count, 5)], DAMAGE, strict=False))
        for name, how in spoiled.items():
            DAMAGE[how](slides / name)
        pictures = sum(len(files) for _, _, files in os.walk(slides))
        one, two = timed(slides, Path(folder) / "one", 1), timed(slides, Path(folder) / "two", 2)
        resumed = killed_and_resumed(slides, Path(folder) / "killed", two)
        tables = [pl.read_parquet(Path(folder) / name / "slides.parquet") for name in ("one", "two", "killed")]
        page = (Path(folder) / "one" / "slides.html").stat().st_size
        table = tables[0]
        told = table.filter(pl.col("slide").is_in(list(spoiled)))
        write("slides", {
            "command": "python benchmarks/slides.py",
            "slides": count,
            "pictures": pictures,
            "rows": len(table),
            "seconds, one process": round(one, 1),
            "seconds, two processes": round(two, 1),
            "two processes, times faster": round(one / two, 2),
            "slides finished before the last resume": resumed,
            "tables alike: one and two processes; killed twice and resumed": [
                tables[0].equals(tables[1]), tables[0].equals(tables[2])
            ],
            "page, kB": page // 1000,
            "damaged": {
                spoiled[row["slide"]]: {
                    "status": row["status"], "attention": row["attention"], "failures": row["failures"],
                    "no_cell": row["no_cell"], "several_cells": row["several_cells"], "duplicates": row["duplicates"],
                    "leukocytes": row["leukocytes"], "said": (row["notes"] or "").split(" | ")[0],
                }
                for row in told.iter_rows(named=True)
            },
            "sound slides that stand out": table.filter(
                ~pl.col("slide").is_in(list(spoiled)) & (pl.col("attention") > 0)
            ).height,
        })  # fmt: skip


if __name__ == "__main__":
    main()
