"""Faithfulness of the default model's heat maps, on validation images of PBC Barcelona.

    LEUKOPY_DATA=... python benchmarks/explain.py [--images 200] [--slow 20] [--run runs/default]

Three questions: do the maps beat chance and the middle of the picture at deletion and insertion; do they follow a cell
that is moved away from the middle; do they change when the weights are random. ``--run`` is the training run of the
default model: gradients and random weights need its architecture. Its weights must be those of the shipped bundle.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl

from leukopy.bundle import open_bundle
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.evaluation.intervals import Estimate
from leukopy.explain import METHODS, Explainer, Subject, average, of_all_views, randomised, rank_correlation
from leukopy.explain.scores import BASELINES, EXPLANATION_SCHEMA, Case, baseline, figures, measure
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.imaging.segmentation import segment
from leukopy.inference import activations
from leukopy.taxonomy import FINE
from results_file import write

LARGE = 2
"""Cells are segmented on pictures this many times the network's size."""


def cases(images: int, bundle, shift: float, seed: int) -> tuple[list[Case], np.ndarray]:
    """Validation cells with the class the model gives them; moved by ``shift`` of the side in a random diagonal."""
    spec = bundle.card.preprocess
    listed = open_dataset("pbc", data_folder() / "cells" / "pbc").filter(split="val").sample(images, seed=seed)
    large = Preprocess(size=LARGE * spec.size, crop=spec.crop)
    rng, moves, made = np.random.default_rng(seed), [], []
    for path in listed["path"]:
        # read_cell of the card's own spec is what the network gets; the moved arm reduces the moved large picture.
        view, own = read_cell(Path(path), large).pixels, read_cell(Path(path), spec).pixels
        masks = segment(view)
        step = rng.choice([-1, 1], 2) * round(shift * spec.size)
        moves.append(step)
        parts = [move(plane, step * LARGE) for plane in (masks.cell, masks.nucleus)]
        shares = [
            part.reshape(spec.size, LARGE, spec.size, LARGE).mean(axis=(1, 3), dtype=np.float32) for part in parts
        ]
        made.append(Case(move(own, step), *shares, target=0))
    logits = activations(bundle, np.stack([case.picture for case in made]), ["logits"])["logits"]
    found = [Case(one.picture, one.cell, one.nucleus, int(row.argmax())) for one, row in zip(made, logits, strict=True)]
    return found, np.array(moves)


def move(picture: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Shifted down and right by ``step`` pixels; masks leave the picture, pixels are mirrored at its edge."""
    if not step.any():
        return picture
    reach, size = int(np.abs(step).max()), len(picture)
    mode = {"mode": "constant"} if picture.dtype == bool else {"mode": "symmetric"}
    padded = np.pad(picture, ((reach, reach), (reach, reach), *[(0, 0)] * (picture.ndim - 2)), **mode)
    top, left = reach - step
    return padded[top : top + size, left : left + size]


def explain(explainer: Explainer, found: list[Case]) -> tuple[np.ndarray, float]:
    """Heat maps, and the seconds each took."""
    start = time.perf_counter()
    heat = [explainer(case.picture[None], np.array([case.target]))[0] for case in found]
    return np.stack(heat), (time.perf_counter() - start) / len(found)


def rows_of(name: str, heats: np.ndarray, found: list[Case], bundle, steps: int) -> list[dict[str, object]]:
    empty = dict.fromkeys(EXPLANATION_SCHEMA)
    return [
        {
            **empty,
            "cell_id": str(i),
            "target": FINE[case.target].code,
            "method": name,
            **measure(bundle, case, heat, steps),
        }
        for i, (case, heat) in enumerate(zip(found, heats, strict=True))
    ]


def arm(
    found: list[Case], explainers: dict[str, Explainer], bundle, steps: int, moves: np.ndarray | None = None
) -> dict[str, object]:
    """Every method and both baselines on the same cells."""
    side = len(found[0].picture)
    nothing = np.zeros((0, side, side, 3), np.uint8)
    grid = activations(bundle, nothing, ["feature_map"])["feature_map"].shape[-1]
    heats = {name: np.stack([baseline(name, side, grid, seed) for seed in range(len(found))]) for name in BASELINES}
    seconds = {}
    for name, explainer in explainers.items():
        heats[name], seconds[name] = explain(explainer, found)
        print(f"{name}: {seconds[name]:.2f} s an image", flush=True)
    rows = [row for name, maps in heats.items() for row in rows_of(name, maps, found, bundle, steps)]
    table: dict[str, dict[str, object]] = {}
    for one in figures(pl.DataFrame(rows, schema=EXPLANATION_SCHEMA), {}):
        table[one.method] = {column: rounded(getattr(one, column)) for column in COLUMNS}
        table[one.method] |= {
            f"against {other}": {"deletion falls by": rounded(falls), "insertion rises by": rounded(rises)}
            for other, (falls, rises) in one.gains.items()
        }
        if moves is not None:
            table[one.method]["follows the cell, share of the move"] = rounded(followed(heats[one.method], moves))
        if one.method in seconds:
            table[one.method]["seconds an image"] = round(seconds[one.method], 3)
    return {"images": len(found), "maps": table}


COLUMNS = ("deletion", "insertion", "inside_cell", "inside_nucleus", "cell_area", "nucleus_area")


def rounded(estimate: Estimate) -> list[float] | None:
    if estimate.value is None:
        return None
    return [round(number, 4) for number in (estimate.value, estimate.low, estimate.high)]


def followed(heats: np.ndarray, moves: np.ndarray) -> Estimate:
    """Shift of the centre of the heat along the move of the cell, as a share of the move."""
    side = heats.shape[1]
    places = np.arange(side) - (side - 1) / 2
    total = np.maximum(heats.sum(axis=(1, 2)), 1e-9)
    down, right = (heats * places[:, None]).sum(axis=(1, 2)) / total, (heats * places).sum(axis=(1, 2)) / total
    return average((down / moves[:, 0] + right / moves[:, 1]) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--slow", type=int, default=20, help="images of Score-CAM and of the random weights")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, default=Path("runs/default"))
    options = parser.parse_args()
    bundle = open_bundle("default")
    subject = Subject(bundle, options.run if (options.run / "run.json").exists() else None)
    names = ["cam", "score-cam", *(["grad-cam", "grad-cam++"] if subject.run else [])]
    single = {f"{name}, one view": METHODS[name].open(subject) for name in names}
    centred, _ = cases(options.images, bundle, 0.0, options.seed)
    moved, moves = cases(options.images, bundle, 0.2, options.seed)
    both = {"cam": of_all_views(single["cam, one view"]), "cam, one view": single["cam, one view"]}
    arms = {
        "centred": arm(centred, both, bundle, options.steps),
        "moved": arm(moved, both, bundle, options.steps, moves),
        "a few, all methods": arm(centred[: options.slow], single, bundle, options.steps),
    }
    facts = {
        "model": bundle.card.name,
        "data": f"PBC Barcelona, {options.images} images of the val split, seed {options.seed}",
        "figures": "mean, lower and upper limit of its 95 % interval (bootstrap by image)",
        "moved": "by a fifth of the side along a random diagonal, the edge mirrored",
        "deletion and insertion": f"{options.steps} steps; low deletion and high insertion are good",
    }
    weights = sanity(subject, centred[: options.slow], both, single)
    print(write("explain", {**facts, "arms": arms, "random weights, rank correlation": weights}))


def sanity(
    subject: Subject, found: list[Case], both: dict[str, Explainer], single: dict[str, Explainer]
) -> dict[str, object]:
    """Rank correlation of the trained network's maps with random weights' maps, and between maps of different cells."""
    correlations: dict[str, object] = {"images": len(found)}
    for name, explainer in {**single, **both}.items():
        method = name.removesuffix(", one view")
        random = randomised(subject, method)
        if random is None or method == "grad-cam":  # of grad-cam the same maps as of cam
            continue
        own, _ = explain(explainer, found)
        other, _ = explain(random if name in single else of_all_views(random), found)
        correlations[name] = {
            "with random weights": rounded(average(rank_correlation(own, other))),
            "with the map of another image": rounded(average(rank_correlation(own, np.roll(own, 1, axis=0)))),
        }
    return correlations


if __name__ == "__main__":
    main()
