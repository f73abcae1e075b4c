# %% [markdown]
# # Fields photographed with a phone
#
# A phone held to the eyepiece takes JPEG files of unknown scale, often blurred. leukopy measures the scale on the red
# cells and says what it left out. Here the photographs are drawn. Research use only.

# %%
from pathlib import Path

import polars as pl
from PIL import Image

from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields

work = Path("example-phone-fields")
drawn = draw_fields(DrawFieldsSettings(fields=4, cells=10), work / "drawn")
photographs = work / "photographs"
photographs.mkdir()
for path in sorted(drawn.fields.glob("*.png")):
    Image.open(path).save(photographs / f"{path.stem}.jpg", quality=85)

# %%
result = analyze(AnalyzeSettings(input=photographs, input_kind="fields", title="Phone"), work / "results")
for note in result.differential.notes:
    print("-", note)
print(result.differential.refused or f"{result.differential.leukocytes} leukocytes are counted.")

# %% [markdown]
# One row per photograph: the scale, its source, the sharpness, and the reason where it was left out.

# %%
fields = pl.read_csv(work / "results" / "fields.csv")
print(fields.select("field", "um_per_px", "focus", "left_out"))

# %% [markdown]
# One row per object: leukocytes, red cells, platelets and clumps.

# %%
objects = pl.read_parquet(work / "results" / "objects.parquet")
print(objects.filter("counted").group_by("kind").len().sort("kind"))
