"""Draw the picture at the head of the README, in both languages: a field, its cells, the differential of the slide.

    python tools/front_picture.py

Everything on it is drawn by leukopy, and found, named and counted by the models that ship.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from leukopy.slides.differential import Differential
from leukopy.taxonomy import COARSE, FINE
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WORDS = {
    "front.png": ("1. a field: find the cells", "2. the cells: name them", "3. the slide: count {} leukocytes"),
    "front-fr.png": ("1. un champ : localiser", "2. les cellules : nommer", "3. la lame : compter {} leucocytes"),
}
COLOURS = {cell.code: cell.colour for cell in (*COARSE, *FINE)}
SHOWN = 8
"""Cells in the middle."""
MARGIN = 40
"""Between the border of the field and the box of a cell that is shown, px."""


def field(axes: Axes, picture: np.ndarray, cells: pl.DataFrame) -> None:
    """The photograph with a box around each leukocyte."""
    axes.imshow(picture)
    for cell in cells.iter_rows(named=True):
        place = (cell["box_x"], cell["box_y"])
        colour = COLOURS[cell["fine"]]
        axes.add_patch(Rectangle(place, cell["box_width"], cell["box_height"], fill=False, edgecolor=colour, lw=2))
        axes.text(
            *place,
            cell["fine"],
            color="white",
            fontsize=8,
            va="bottom",
            weight="bold",
            bbox={"fc": colour, "lw": 0, "pad": 1.5},
        )


def crops(axes: Axes, picture: np.ndarray, cells: pl.DataFrame) -> None:
    """Cells cut out, one of each class first, each with its class and probability."""
    right, bottom = pl.col("box_x") + pl.col("box_width"), pl.col("box_y") + pl.col("box_height")
    inside = (right < picture.shape[1] - MARGIN) & (bottom < picture.shape[0] - MARGIN)
    whole = cells.filter((pl.min_horizontal("box_x", "box_y") > MARGIN) & inside)
    first = whole.unique("fine", keep="first", maintain_order=True)
    shown = pl.concat([first, whole.join(first, on="cell_id", how="anti")]).head(SHOWN)
    side = 128
    sheet = Image.new("RGB", (2 * (side + 14), SHOWN // 2 * (side + 34)), "white")
    for number, cell in enumerate(shown.iter_rows(named=True)):
        width = 1.5 * max(cell["box_width"], cell["box_height"])
        x, y = cell["box_x"] + cell["box_width"] / 2, cell["box_y"] + cell["box_height"] / 2
        corners = tuple(round(value) for value in (x - width / 2, y - width / 2, x + width / 2, y + width / 2))
        left, top = number % 2 * (side + 14), number // 2 * (side + 34)
        sheet.paste(Image.fromarray(picture).crop(corners).resize((side, side)), (left, top))
        sure = round(100 * cell["fine_confidence"])
        words = f"{cell['fine']}  {sure if sure < 100 else '> 99'} %"
        axes.text(
            left + side / 2,
            top + side + 3,
            words,
            ha="center",
            va="top",
            fontsize=9,
            color=COLOURS[cell["fine"]],
            weight="bold",
        )
    axes.imshow(sheet)


def count(axes: Axes, found: Differential, french: bool) -> None:
    """Share of each coarse class with its 95 % limits."""
    names = {cell.code: cell.french if french else cell.name for cell in COARSE}
    lines = [line for line in found.lines if line.code in names][::-1]
    shares, low, high = (np.array([getattr(line, name) or 0 for line in lines]) for name in ("percent", "low", "high"))
    axes.barh([names[line.code] for line in lines], shares, color=[COLOURS[line.code] for line in lines], height=0.6)
    axes.errorbar(
        shares, range(len(lines)), xerr=[shares - low, high - shares], fmt="none", ecolor="#333333", capsize=3, lw=1
    )
    for at, line in enumerate(lines):
        axes.text(high[at] + 2, at, f"{line.percent:.0f} %", va="center", fontsize=10)
    axes.set(xlim=(0, 100), xticks=[])
    axes.tick_params(left=False, labelsize=10)
    axes.spines[:].set_visible(False)


def main() -> None:
    """Draw, analyse, and write the pictures."""
    mpl.use("Agg")
    with tempfile.TemporaryDirectory() as work:
        drawn = draw_fields(DrawFieldsSettings(fields=12, cells=12, seed=5), Path(work) / "drawn")
        result = analyze(AnalyzeSettings(input=drawn.fields, input_kind="fields", per_class=0), Path(work) / "results")
        cells = pl.read_parquet(Path(work) / "results" / "cells.parquet").filter(pl.col("fine").is_not_null())
        first = cells.group_by("field").agg(pl.col("fine").n_unique()).sort("fine", "field")["field"][-1]
        cells = cells.filter(field=first).sort("fine")
        picture = np.asarray(Image.open(next(drawn.fields.glob(f"{Path(first).stem}.*"))).convert("RGB"))
    for name, titles in WORDS.items():
        figure, parts = plt.subplots(1, 3, figsize=(13, 4.6), width_ratios=[6, 3, 4.4], layout="constrained")
        for axes, title in zip(parts, titles, strict=True):
            words = title.format(result.differential.leukocytes)
            axes.set_title(words, fontsize=12, loc="left", weight="bold")
        field(parts[0], picture, cells)
        crops(parts[1], picture, cells)
        count(parts[2], result.differential, french="fr" in name)
        for axes in parts[:2]:
            axes.set_axis_off()
        figure.savefig(IMAGES / name, dpi=110)
        small = Image.open(IMAGES / name).convert("P", palette=Image.Palette.ADAPTIVE, colors=128)
        small.save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
