"""The detector without a laboratory: does it find the cells of one that it never saw?

    LEUKOPY_DATA=... python benchmarks/detector_left_out.py runs/left_out

Trains the recipe of the shipped detector for fewer steps and on fewer drawn fields, with all its sources and without
those of each laboratory in turn, and measures the test pictures of the one left out, beside the training of all.
Chulalongkorn's fields teach no detector: each training is measured on them. Interrupted, the same command resumes.
Figures of short trainings compare with each other only.
"""

from __future__ import annotations

import sys
from pathlib import Path

from detection import measure
from leukopy.bundle.detector import open_detector
from leukopy.datasets.boxes import DRAWN
from leukopy.fields.detector import Detector
from leukopy.training.detector.settings import DetectorSettings
from leukopy.workflows.evaluate_detector import LEAST_SCORE
from leukopy.workflows.recipes import read
from leukopy.workflows.train_detector import train_detector
from results_file import write

CONFIGS = Path(__file__).parents[1] / "configs"
STEPS = 600
FIELDS = 400
AVERAGE = 0.99
"""Decay of the average of the weights: the recipe's would hold too much of the first steps of so short a training."""
UNSEEN = "chula_completed"
LABORATORIES = {
    "PBC": ("txl_pbc", "pbc_boxes"),
    "Raabin": ("txl_raabin",),
    "BCCD": ("txl_bccd", "bccd"),
    "TXL": ("txl_own",),
    "drawn fields": (DRAWN,),
}
"""Sources of each laboratory; the first is the one with boxes of all kinds."""


def without(recipe: DetectorSettings, sources: tuple[str, ...]) -> DetectorSettings:
    """The recipe without some of its sources."""
    kept = tuple(use for use in recipe.sources if use.source not in sources)
    assert recipe.drawn is not None
    drawn = None if DRAWN in sources else recipe.drawn.model_copy(update={"fields": FIELDS})
    optimisation = recipe.optimisation.model_copy(update={"steps": STEPS, "average": AVERAGE})
    return recipe.model_copy(update={"sources": kept, "drawn": drawn, "optimisation": optimisation})


def trained(recipe: DetectorSettings, out: Path) -> Detector:
    """The detector of a run, which is resumed where it was interrupted."""
    bundle = out / "bundle"
    if not (bundle / "card.json").exists():
        train_detector(recipe, out, resume=out.exists())
    return Detector(open_detector(bundle), least=LEAST_SCORE)


def main(runs: Path) -> None:
    recipe = read(CONFIGS / "detector.yaml", {})
    assert isinstance(recipe, DetectorSettings)
    every = [sources[0] for sources in LABORATORIES.values()]
    found = measure(trained(without(recipe, ()), runs / "all"), "test", known_scale=False, sources=[*every, UNSEEN])
    figures: dict[str, object] = {"steps": STEPS, "drawn fields": FIELDS, "all sources": found}
    for name, sources in LABORATORIES.items():
        detector = trained(without(recipe, sources), runs / sources[0])
        measured = measure(detector, "test", known_scale=False, sources=[sources[0], UNSEEN])
        figures[f"without {name}"] = measured
    write("detector_left_out", figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
