"""Write what was measured of the default model's recipe into its card, and the card as a page of the documentation.

Reads ``benchmarks/results``; run it after the other benchmarks:

    python benchmarks/default_card.py

The figures on the PBC test split are not read here: ``leukopy evaluate … --into-card`` writes them itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from leukopy.bundle import Metric, open_bundle
from leukopy.bundle.store import add_metrics
from leukopy.core.files import read_json
from leukopy.reports.model_card import model_card
from results_file import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "models" / "default.md"


def left_out_laboratories() -> Iterator[Metric]:
    """Metrics of the recipe without each laboratory in turn; answers among the classes that it holds."""
    rows = pl.read_csv(RESULTS / "leave-one-out" / "transfer.csv").filter(split="all", answers="held")
    command = "leukopy study transfer configs/leave_one_out.yaml --out runs/leave_one_out"
    for row in rows.iter_rows(named=True):
        data = f"{row['laboratory']}, {row['images']:,} images, by this recipe without that laboratory"
        for name, title in (("balanced_accuracy", "balanced accuracy"), ("ece", "ECE")):
            low, high = row[f"{name}_low95"], row[f"{name}_high95"]
            yield Metric(name=f"{title}, classes that the laboratory holds", value=row[name], low=low, high=high,
                         data=data, command=command)  # fmt: skip


def few_labels() -> Iterator[Metric]:
    """Metrics of the recipe without a laboratory, adapted to it."""
    result = read_json(RESULTS / "adapt.json")
    for laboratory, found in result["figures"].items():
        if isinstance(found, dict):
            data = f"{laboratory}, by this recipe without it, adapted by {found['labelled']} labels; judged: "
            yield Metric(name="balanced accuracy, coarse classes, adapted", value=found["balanced_accuracy_after"],
                         data=data + found["judged"], command=result["command"])  # fmt: skip


def speed() -> Iterator[Metric]:
    """Images a second, and what they are of other ways."""
    result = read_json(RESULTS / "speed.json")
    machine = result["provenance"]["machine"]
    for name, found in result["figures"]["default"].items():
        if isinstance(found, dict):
            yield Metric(name=f"images/s: {name}", value=found["images_per_s"], data=machine, command=result["command"])


def main() -> None:
    bundle = open_bundle("default")
    metrics = [*left_out_laboratories(), *few_labels(), *speed()]
    again = {metric.command for metric in metrics}
    others = tuple(metric for metric in bundle.card.metrics if metric.command not in again)
    bundle = replace(bundle, card=bundle.card.model_copy(update={"metrics": others}))
    card = add_metrics(bundle, metrics)
    PAGE.write_text(model_card(card), encoding="utf-8")
    print(f"{len(metrics)} figures written into the card of {card.name!r}; page: {PAGE}")


if __name__ == "__main__":
    main()
