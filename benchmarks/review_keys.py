"""How many keys does a reader press from an opened slide of 200 cells to its signature?

    LEUKOPY_DATA=... python benchmarks/review_keys.py

The slide holds PBC's validation cells in the usual mixture of an adult; 8 of them get the wrong class from the model
that ships and are in the queue of cells to look at. Chromium drives a real station: the reader starts the queue, walks
to each wrong cell and gives its class, confirms what is on the screen until the queue is seen, and reviews and signs.
A chord (Control and A) counts as one key. Beside it: how many of the model's errors on validation slides of this
mixture the queue holds, and how long it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from playwright.sync_api import sync_playwright

import results_file
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft, CaseSearch, CellRow
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from station import station

USUAL = {"SNE": 115, "BNE": 5, "LY": 56, "MO": 14, "EO": 6, "BA": 2, "MMY": 1, "MY": 1}
"""Cells of a slide of the usual mixture."""
SLIDES = 5
WRONG = 8
VIEW = {"width": 1280, "height": 860}
KEYS = {"SNE": "s", "BNE": "b", "EO": "e", "BA": "a", "LY": "l", "MO": "m", "MMY": "t", "MY": "y", "PMY": "p"}


def validation() -> pl.DataFrame:
    """Labelled cells of PBC's validation split."""
    cells = open_dataset("pbc", data_folder() / "cells" / "pbc")
    return cells.filter(pl.col("split") == "val", pl.col("code").is_in(list(USUAL)))


def usual(cells: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A slide of the usual mixture, each cell once."""
    parts = [cells.filter(pl.col("code") == code) for code in USUAL]
    return pl.concat(
        part[rng.permutation(len(part))[:count].tolist()] for part, count in zip(parts, USUAL.values(), strict=True)
    )


def table(rows: list[tuple[object, ...]], cells: pl.DataFrame) -> pl.DataFrame:
    """Rows of cells, each once."""
    return pl.DataFrame(rows, schema=cells.schema, orient="row").unique("cell_id", maintain_order=True)


def analysed(cells: pl.DataFrame, folder: Path) -> dict[str, str]:
    """Analyse a slide into ``folder/results``; the label of each cell by the name of its picture."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    labels = {}
    for number, (path, code) in enumerate(cells.select("path", "code").iter_rows()):
        name = f"{number:03}{Path(path).suffix}"
        shutil.copy(path, pictures / name)
        labels[name] = code
    analyze(AnalyzeSettings(input=pictures), folder / "results")
    return labels


def opened(folder: Path) -> tuple[str, tuple[CellRow, ...]]:
    """The case of an analysed slide in a new station, and its cells."""
    store = Store.open(ReviewSettings(folder=folder / "station"))
    user = store.users.single_user()
    import_as_case(store, user, CaseDraft(slide="slide"), folder / "results")
    (case,) = store.cases.search(user, CaseSearch()).cases
    cells = store.cells.all(user, case.id)
    store.close()
    return case.id, cells


def wrong(cells: tuple[CellRow, ...], labels: dict[str, str]) -> list[CellRow]:
    return [cell for cell in cells if cell.code != labels[cell.name]]


class Reader:
    """A reader who knows the labels, and whose keys are counted."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.keys: Counter[str] = Counter()

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.keys[key] += 1

    def walk_to(self, cell: int) -> None:
        """By the arrows, the shorter way: along the row, or row by row."""
        places = self.page.evaluate(
            """() => [...document.querySelectorAll('[data-group=look] .tile')].map((tile) => {
              const box = tile.getBoundingClientRect();
              return [Number(tile.dataset.cell), box.left, box.top, tile === document.activeElement];
            })"""
        )
        at = next(index for index, place in enumerate(places) if place[3])
        to = next(index for index, place in enumerate(places) if place[0] == cell)
        tops = sorted({round(place[2]) for place in places})
        columns = sum(round(place[2]) == tops[0] for place in places)
        rows, steps = to // columns - at // columns, to - at
        if abs(rows) + abs(to % columns - at % columns) < abs(steps):
            self._go("ArrowDown", "ArrowUp", rows)
            self._go("ArrowRight", "ArrowLeft", to % columns - at % columns)
        else:
            self._go("ArrowRight", "ArrowLeft", steps)

    def _go(self, forth: str, back: str, steps: int) -> None:
        for _ in range(abs(steps)):
            self.press(forth if steps > 0 else back)


def review(page: Any, case: str, corrections: dict[int, str]) -> Counter[str]:
    """From the opened slide to the signature; the keys pressed. Nothing is scrolled."""
    page.goto(f"{page.url}cases/{case}")
    page.wait_for_selector(".tile")
    reader = Reader(page)
    reader.press("Space")
    left = dict(corrections)
    while left:
        order = [int(str(tile.get_attribute("data-cell"))) for tile in page.locator("[data-group=look] .tile").all()]
        cell = next(number for number in order if number in left)
        reader.walk_to(cell)
        reader.press(KEYS[left.pop(cell)])
        page.wait_for_selector(f"#cell-{cell}.seen:not(.pending)")
    while page.evaluate("document.activeElement.id") != "to-sign":
        reader.press("Control+a")
        reader.press("Space")
        page.wait_for_selector(".tile.pending", state="detached")
    assert page.evaluate("scrollY") == 0
    for step in ("#reviewed:focus", "#sign:focus", "#confirm[open]"):
        reader.press("Enter")
        page.wait_for_selector(step)
    reader.press("Enter")
    page.wait_for_selector("#status .signed")
    assert page.evaluate("scrollY") == 0
    return reader.keys


def main() -> None:
    rng, cells = np.random.default_rng(0), validation()
    errors, found, queues, pool, right = 0, 0, [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(SLIDES):
            folder, slide = Path(temporary) / str(number), usual(cells, rng)
            labels = analysed(slide, folder)
            case, rows = opened(folder)
            queues.append(sum(bool(row.look) for row in rows))
            mistaken = wrong(rows, labels)
            errors, found = errors + len(mistaken), found + sum(bool(row.look) for row in mistaken)
            pool += [slide.row(int(Path(row.name).stem)) for row in mistaken if row.look]
            right += [slide.row(int(Path(row.name).stem)) for row in rows if row not in mistaken]
        chosen = table(pool, cells).sample(WRONG, seed=0)
        slide = usual(table(right, cells).filter(~pl.col("cell_id").is_in(chosen["cell_id"].implode())), rng)
        slide = pl.concat([slide.sample(min(len(slide), sum(USUAL.values()) - WRONG), seed=0), chosen])
        folder = Path(temporary) / "read"
        labels = analysed(slide, folder)
        case, rows = opened(folder)
        corrections = {row.id: labels[row.name] for row in wrong(rows, labels) if row.look}
        with station(folder / "station") as address, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = chromium.new_page(viewport=VIEW, locale="en-GB")
            page.goto(address)
            keys = review(page, case, corrections)
            chromium.close()
    figures: dict[str, object] = {
        "view": VIEW, "cells": len(rows), "corrections": len(corrections), "queue": sum(bool(row.look) for row in rows),
        "keys": keys.total(), "keys_by_kind": dict(keys), "scrolled_px": 0,
        "validation_slides": {"slides": SLIDES, "errors": errors, "errors_in_queue": found, "queue_lengths": queues},
    }  # fmt: skip
    print(figures)
    results_file.write("review_keys", figures)


if __name__ == "__main__":
    main()
