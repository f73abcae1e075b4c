# %% [markdown]
# # Adapt the model to a laboratory
#
# A few labelled cells of your own stain and camera refit the last layer, in seconds. Here the laboratory is drawn,
# with a stain chosen at random. Research use only.

# %%
from pathlib import Path

import polars as pl

import leukopy
from leukopy.workflows.adapt import AdaptSettings, adapt
from leukopy.workflows.draw import DrawSettings, draw

work = Path("example-adapt")
tables = []
for number in (1, 2, 3):
    drawn = draw(DrawSettings(per_class=3, seed=number, appearance="random"), work / "labelled" / str(number))
    table = pl.read_csv(drawn.truth).select("path", "label")
    tables.append(table.with_columns(path=f"{number}/" + pl.col("path"), group=pl.lit(f"slide {number}")))
pl.concat(tables).write_csv(work / "labelled" / "cells.csv")

# %% [markdown]
# `cells.csv` has the columns `path`, `label` and `group` (here the slide), as the review station exports it. The gain
# is measured on cells held out.

# %%
result = adapt(AdaptSettings(labels=work / "labelled" / "cells.csv", folds=3, variants=2), work / "ours")
print(f"Balanced accuracy {result.before.classes.balanced_accuracy.value:.2f} before, ", end="")
print(f"{result.after.classes.balanced_accuracy.value:.2f} after; {result.held_out}")

# %%
slide = draw(DrawSettings(cells=30, seed=8, appearance="random"), work / "slide")
ours = leukopy.load(str(result.bundle)).predict([str(path) for path in sorted(slide.cells.iterdir())])
print(ours.cells.group_by("coarse").len().sort("coarse"))
