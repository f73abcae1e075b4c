"""Cost of the drawn cells on real images: a short training with and without them, tested on PBC Barcelona.

    LEUKOPY_DATA=... python benchmarks/drawn_share.py [--epochs 3] [--images 10000] [--seeds 0]

Both arms see the same number of images; the drawn share is given to PBC in the other arm.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from leukopy.core.paths import data_folder
from leukopy.reports.evaluation import averages
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from leukopy.workflows.train import read_recipe, train
from results_file import write

RECIPE = Path(__file__).parents[1] / "configs" / "default.yaml"


def arm(options: argparse.Namespace, seed: int, drawn: bool, scratch: Path) -> dict[str, object]:
    recipe = read_recipe(RECIPE, {})
    sources = [source.model_dump() for source in recipe.sources if drawn or source.dataset != "drawn"]
    if not drawn:
        share = next(source.share for source in recipe.sources if source.dataset == "drawn")
        sources[0]["share"] += share  # PBC is the first
    changes = {
        "seed": seed,
        "sources": sources,
        "optimisation.epochs": options.epochs,
        "optimisation.epoch_images": options.images,
        "preprocess.size": 96,  # a third of the time; what counts is the difference between the arms
        "optimisation.small_epochs": 0,
        "optimisation.average": 0.98,
    }
    out = scratch / f"{'with' if drawn else 'without'}-{seed}"
    bundle = train(read_recipe(RECIPE, changes), out).bundle
    settings = EvaluateSettings(data="pbc", root=data_folder() / "cells" / "pbc", model=str(bundle), split="test")
    measured = evaluate(settings, out / "test").evaluation
    return {
        "drawn": drawn,
        "seed": seed,
        **{
            f"{name}, {level.name}": [round(value, 4) for value in (found.value, found.low, found.high)]
            for level in measured.levels
            for name, found in averages(level).items()
            if name in ("accuracy", "balanced accuracy", "macro F1")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    arms = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in options.seeds:
            for drawn in (True, False):
                arms.append(arm(options, seed, drawn, Path(scratch)))
                print(arms[-1], flush=True)
    print(write("drawn_share", {"epochs": options.epochs, "images_per_epoch": options.images, "arms": arms}))


if __name__ == "__main__":
    main()
