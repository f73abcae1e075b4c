"""How smoothly does the gallery of a case of 2,000 cells scroll, and how soon does it stand?

    python benchmarks/review_scroll.py [--cells 2000] [--frames 300] [--before FILE]

Chromium (headless, its own software renderer where there is no graphics card) drives a real `leukopy review` on
loopback whose case holds drawn cells. The page is scrolled by a fixed number of pixels in each animation frame, the
time between frames is noted, at 1280 and at 1920 pixels. ``--before``: a result of this script on an older commit, for
the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from contextlib import closing
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin

import numpy as np
import polars as pl
from PIL import Image
from playwright.sync_api import sync_playwright

import results_file
from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.review.records import CaseDraft
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage, Store
from leukopy.synthesis import draw_cell
from station import station

MIXTURE = {"SNE": 55, "LY": 28, "MO": 7, "BNE": 3, "EO": 3, "ERB": 2, "BA": 1, "MY": 1}
"""Cells of each class, in per cent."""
DRAWN = 25
"""Different drawings of each class; a file ends with its number, so that no two are the same."""
STEP = 40
"""Pixels scrolled in each frame."""
WIDTHS = (1280, 1920)
SCROLL = """([step, frames]) => new Promise((resolve) => {
  const times = [];
  const frame = (time) => {
    times.push(time);
    if (times.length > frames) return resolve(times);
    scrollBy(0, step);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def case(settings: ReviewSettings, cells: int) -> str:
    """A case of drawn cells with the classes that they were drawn with; its id."""
    names = list(MIXTURE)
    codes = np.random.default_rng(0).choice(names, cells, p=np.array(list(MIXTURE.values())) / 100).tolist()
    with closing(Store.open(settings)) as store:
        user = store.users.single_user()
        opened = store.cases.open(user, CaseDraft(slide="scroll"))
        images = [
            NewImage(f"{n}.jpg", drawn(code, n % DRAWN) + str(n).encode(), 128, 128, "image/jpeg")
            for n, code in enumerate(codes)
        ]
        store.cells.add_images(user, opened.id, images)
        store.predictions.write(opened.id, predictions(codes), ModelFacts("drawn", "d" * 64))
    return opened.id


@cache
def drawn(code: str, seed: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(draw_cell(code, seed=seed, size=128).image).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def predictions(codes: list[str]) -> Predictions:
    """Rows as a classifier gives them, with confidences spread evenly."""
    rows = []
    for number, code in enumerate(codes, start=1):
        values: dict[str, object] = {name: 0.0 if kind == pl.Float32 else "" for name, kind in CELL_SCHEMA.items()}
        share = 0.5 + 0.5 * number / len(codes)
        values |= {"cell_id": str(number), "coarse": code, "fine": code, "width": 128, "height": 128}
        rows.append(values | {"fine_confidence": share, f"p_{code}": share})
    return Predictions(pl.DataFrame(rows, schema=CELL_SCHEMA), pl.DataFrame(schema=FAILURE_SCHEMA))


def measure(page: Any, address: str, frames: int) -> dict[str, float]:
    """Open the gallery, let it settle, and scroll it."""
    page.goto(address)
    page.wait_for_selector(".tile .chance:not(:empty)")
    ready = page.evaluate("performance.now()")
    page.wait_for_load_state("networkidle")
    times = np.diff(page.evaluate(SCROLL, [STEP, frames]))
    return {
        "first tile, ms": round(float(ready), 1),
        "tiles in the page": page.locator(".tile").count(),
        "frame, median, ms": round(float(np.median(times)), 1),
        "frame, p95, ms": round(float(np.percentile(times, 95)), 1),
        "frame, longest, ms": round(float(times.max()), 1),
        "frames a second": round(1000 / float(times.mean()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--cells", 2000), ("--frames", 300)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--before", type=Path, help="result of this script on an older commit")
    given = parser.parse_args()
    figures: dict[str, Any] = {"cells": given.cells, "pixels a frame": STEP}
    figures["load before (1 minute)"] = round(os.getloadavg()[0], 2)
    with TemporaryDirectory() as scratch:
        settings = ReviewSettings(folder=Path(scratch) / "station")
        shown = case(settings, given.cells)
        with station(settings.folder) as address, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = chromium.new_page(locale="en-GB")
            page.goto(address)
            page.wait_for_selector("#work[aria-busy=false]")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 1000})
                figures[f"{width} px"] = measure(page, urljoin(address, f"/cases/{shown}"), given.frames)
            chromium.close()
    if given.before:
        before = json.loads(given.before.read_text(encoding="utf-8"))["figures"]
        figures["before"] = before
        figures["median frame, before / after"] = {
            f"{width} px": round(
                before[f"{width} px"]["frame, median, ms"] / figures[f"{width} px"]["frame, median, ms"], 1
            )
            for width in WIDTHS
        }
    print(json.dumps(figures, indent=2))
    results_file.write("review_scroll", figures)


if __name__ == "__main__":
    main()
