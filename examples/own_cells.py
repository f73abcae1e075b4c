# %% [markdown]
# # A table of your own cells to a differential count
#
# `cells.csv` lists pictures of single cells: one row per cell, with its slide. Here the pictures are drawn; put the
# path of your own table in their place. Research use only.

# %%
from pathlib import Path

import polars as pl

from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw

work = Path("example-own-cells")
for slide, seed in (("monday", 1), ("tuesday", 2)):
    draw(DrawSettings(cells=60, seed=seed), work / slide)

# %% [markdown]
# The table needs the column `path`, relative to the table or absolute. With the column `slide`, each slide is counted
# for itself. Columns in other names stay in your table and are ignored.

# %%
pictures = [(str(path.relative_to(work)), path.parts[1]) for path in sorted(work.glob("*/cells/*.png"))]
pl.DataFrame(pictures, schema=["path", "slide"], orient="row").write_csv(work / "cells.csv")

# %%
result = analyze(AnalyzeSettings(input=work / "cells.csv"), work / "results")
print(result.slides.select("slide", "status", "leukocytes", "NEU_percent", "NEU_low95", "NEU_high95", "notes"))

# %% [markdown]
# Every slide has its rows, its differential and its report in `results/slides/NAME`.

# %%
differential = pl.read_csv(work / "results" / "slides" / "monday" / "differential.csv")
print(differential.select("code", "count", "value", "low95", "high95", "flag"))
