# %% [markdown]
# # A network of your own
#
# A backbone is a feature extractor and a neck. Added to the registry, it is trained, exported, measured and served as
# every other network is. Needs the extra `train`. Research use only.

# %%
from pathlib import Path

import polars as pl
from torch import nn

import leukopy
from leukopy.models.backbones import BACKBONES, Backbone
from leukopy.models.feature import Feature, average_pool
from leukopy.training.settings import TrainSettings
from leukopy.workflows.draw import DrawSettings, draw
from leukopy.workflows.train import train


def build(size: int, pretrained: bool) -> Feature:
    """Images (N, 3, size, size) to a feature map (N, 32, size / 8, size / 8) and its mean (N, 32)."""
    layers: list[nn.Module] = []
    for narrow, wide in ((3, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.GroupNorm(4, wide), nn.ReLU()]
    return Feature(nn.Sequential(*layers), average_pool(), embedding_size=32)


BACKBONES.add("three_layers", Backbone(paper="none", licence="Apache-2.0", parameters=0.006, build=build))

# %%
work = Path("example-backbone")
for number in (1, 2, 3):
    draw(DrawSettings(per_class=4, size=96, seed=number), work / "drawn" / str(number))
pictures = sorted(work.glob("drawn/*/cells/*.png"))
truth = [
    pl.read_csv(path).select("label", path=f"{path.parent.name}/" + pl.col("path"), split=pl.lit(split))
    for path, split in zip(sorted(work.glob("drawn/*/truth.csv")), ("train", "train", "val"), strict=True)
]
table = work / "drawn" / "cells.csv"
pl.concat(truth).write_csv(table)
recipe = TrainSettings.build(
    {
        "name": "three_layers",
        "title": "Three layers",
        "description": "An example, trained on drawn cells: for no other use.",
        "backbone": {"name": "three_layers"},
        "preprocess": {"size": 64},
        "sources": [
            {
                "dataset": "manifest",
                "root": str((work / "drawn" / "cells.csv").absolute()),
                "share": 1,
                "validation_share": 0.3,
            }
        ],
        "optimisation": {"epochs": 2, "batch_size": 16, "learning_rate": 0.003},
    },
    where="this example",
)
train(recipe, work / "run")

# %%
result = leukopy.load(str(work / "run" / "bundle")).predict(list(map(str, pictures)))
print(result.cells.select("cell_id", "coarse", "confidence"))
