# %% [markdown]
# # Ten slides to a table of a cohort
#
# One run, one folder per slide, one table: read with polars or queried with DuckDB. Research use only.

# %%
from pathlib import Path

import duckdb
import polars as pl

from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw

work = Path("example-cohort")
for number in range(1, 11):
    slide = draw(DrawSettings(cells=40, seed=number), work / "drawn" / f"P{number:02d}")
    (work / "night").mkdir(exist_ok=True)
    slide.cells.rename(work / "night" / f"P{number:02d}")

# %%
result = analyze(AnalyzeSettings(input=work / "night", slides=True, per_class=4), work / "results")
print(result.slides.height, "slides, complete:", result.complete)

# %% [markdown]
# ## polars

# %%
slides = pl.read_parquet(work / "results" / "slides.parquet")
print(slides.select("slide", "leukocytes", "NEU_percent", "LY_percent", "unidentified").sort("LY_percent"))

# %% [markdown]
# ## DuckDB
#
# The rows of all cells, without loading them: the share of uncertain cells of each class.

# %%
cells = duckdb.read_parquet(sorted(map(str, work.absolute().glob("results/slides/*/cells.parquet"))))
print(
    duckdb.sql(
        "SELECT coarse, count(*) AS cells, avg(CAST(flags LIKE '%uncertain%' AS INT)) AS uncertain "
        "FROM cells GROUP BY coarse ORDER BY cells DESC"
    )
)
