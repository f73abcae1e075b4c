"""Log-odds of tumoral by age and lymphocyte count alone, in the patients' model that ships, from 0.1 to 200 x 10^9/L.

    python benchmarks/clinical_curve.py

Beside them, the log-odds that the same Gaussians give where nothing holds them (leukopy 0.1.0): they turn back below
the counts of the training and have no bound. Writes ``results/clinical_curve.json``, ``.csv`` and ``.png``.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.stats import norm

import results_file
from leukopy.patients.inference.model import PatientModel

AGES: tuple[float | None, ...] = (None, 20, 40, 60, 80, 100)
"""Years; None: unknown."""
TABLE = (0.1, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50, 100, 200)
"""Counts of the table; the curve has more."""
COUNTS = np.unique(np.concatenate([np.geomspace(0.1, 200, 200), TABLE]))
SHOWN = 12
"""Log-odds at which the picture ends."""


def held(model: PatientModel, age: float | None, count: float) -> float:
    """Log-odds by the model, less those of cells that say nothing."""
    cells = np.array([[each.reactive for each in model.card.features]], np.float32)
    clinical = np.array([np.nan if age is None else age, count], np.float32)
    known, unknown = (model.run(cells, each)[0].mean() for each in (clinical, np.full(2, np.nan, np.float32)))
    return float(known - unknown) + prior(model)


def prior(model: PatientModel) -> float:
    """Mean of the members' log-odds where age and count are unknown."""
    return float(np.mean([value for name, value in parameters(model).items() if name.endswith(".prior")]))


def parameters(model: PatientModel) -> dict[str, NDArray[np.float32]]:
    """The fitted numbers of the network, by their names."""
    graph = onnx.load(model.bundle.model_path).graph
    return {each.name: numpy_helper.to_array(each) for each in graph.initializer}


def plain(model: PatientModel, age: float | None, count: float) -> float:
    """Mean of the members' log-odds by their Gaussians as they are."""
    fitted = parameters(model)
    members = []
    for member in range(model.card.model.members):
        own = f"members.{member}.of_clinical."
        mean, deviation = fitted[f"{own}mean"], np.sqrt(fitted[f"{own}variance"])
        densities = [
            norm.logpdf(value, mean[:, column], deviation[:, column])
            for column, value in ((0, age), (1, np.log(count)))
            if value is not None
        ]
        members.append(sum(float(density[1] - density[0]) for density in densities))
    return float(np.mean(members)) + prior(model)


def curve(model: PatientModel) -> pl.DataFrame:
    """A row for each age and count: age, count, log_odds of the model, plain_log_odds."""
    return pl.DataFrame(
        [
            {
                "age": age,
                "count": count,
                "log_odds": held(model, age, count),
                "plain_log_odds": plain(model, age, count),
            }
            for age in AGES
            for count in COUNTS.tolist()
        ],
        schema=dict.fromkeys(("age", "count", "log_odds", "plain_log_odds"), pl.Float64),
        orient="row",
    )


def draw(rows: pl.DataFrame, bounds: tuple[float, float]) -> Figure:
    """The curves of all ages: full as shipped, dashed without bounds."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for number, ((age,), own) in enumerate(rows.group_by("age", maintain_order=True)):
        label = "age unknown" if age is None else f"{age:.0f} years"
        colour = "black" if age is None else f"C{number - 1}"
        axes.plot(own["count"], own["log_odds"], color=colour, label=label)
        axes.plot(own["count"], own["plain_log_odds"], color=colour, linestyle=":", linewidth=1)
    for bound in bounds:
        axes.axhline(bound, color="grey", linestyle="--", linewidth=0.8)
    axes.set(
        xscale="log", xlim=(0.1, 200), ylim=(-SHOWN, SHOWN), xlabel="lymphocyte count, 10⁹/L",
        ylabel="log-odds of tumoral by age and count alone",
        title="Monotone and bounded (full); Gaussians as they are (dotted). Research use only",
    )  # fmt: skip
    axes.legend(loc="lower right")
    return figure


def main() -> None:
    model = PatientModel.open()
    bounds = model.card.clinical
    if bounds is None:
        raise SystemExit("the model's card states no bounds of age and count: train it again.")
    rows = curve(model)
    falls = [
        int(sum(after < before - 1e-4 for before, after in pairwise(own[column])))
        for column in ("log_odds", "plain_log_odds")
        for _, own in rows.group_by("age", maintain_order=True)
    ]
    table = rows.filter(pl.col("count").is_in(TABLE))
    figures = {
        "bounds": bounds.model_dump(),
        "steps at which log-odds fall with the count, by age, as shipped": falls[: len(AGES)],
        "steps at which log-odds fall with the count, by age, Gaussians as they are": falls[len(AGES) :],
        "log-odds, as shipped and by Gaussians as they are": {
            "age unknown" if age is None else f"{age:.0f} years": {
                f"{count:g}": [round(own, 2), round(other, 2)] for _, count, own, other in part.iter_rows()
            }
            for (age,), part in table.group_by("age", maintain_order=True)
        },
    }
    path = results_file.write("clinical_curve", figures)
    rows.write_csv(path.with_suffix(".csv"), float_precision=4)
    draw(rows, bounds.log_odds).savefig(path.with_suffix(".png"), dpi=100)
    with pl.Config(tbl_rows=-1):
        print(table)


if __name__ == "__main__":
    main()
