"""Performance of a bundle's attributes on WBCAtt's test part, against two baselines.

python benchmarks/attributes.py [--model default]

The network learnt to tell classes on part of these images (not their attributes), so the figures are given again for
those in the test split of PBC, from which it never learnt.
"""

from __future__ import annotations

import argparse

import numpy as np

from leukopy.bundle import open_bundle
from leukopy.core.paths import data_folder
from leukopy.datasets import open_dataset
from leukopy.datasets.wbcatt import read_wbcatt
from leukopy.inference import file_activations
from leukopy.workflows.fit_attributes import measure
from results_file import write

PUBLISHED = {
    "AttriGen (Houmaidi et al. 2025, arXiv:2509.26185), a vision transformer of its own": {
        "accuracy, mean of the attributes": 0.9462,
        "protocol": "WBCAtt; as its abstract says, images and split not compared with ours",
    }
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    bundle = open_bundle(options.model)
    if bundle.card.attributes is None:
        raise SystemExit(f"{options.model}: judges no attributes; fit them with 'leukopy model fit-attributes'.")
    cells = read_wbcatt(data_folder() / "cells" / "wbcatt", open_dataset("pbc", data_folder() / "cells" / "pbc"))
    test = cells["part"].to_numpy() == "test"
    logits = np.zeros((len(cells), sum(len(head.values) for head in bundle.card.attributes.heads)), np.float32)
    logits[test], failures = file_activations(bundle, cells["path"].to_numpy()[test].tolist(), "attributes")
    if failures:
        raise SystemExit(f"{len(failures)} images could not be read, the first: {next(iter(failures.values()))}")
    measured = measure(bundle.card.attributes, cells, logits, test)
    for name, figures in measured.report.items():
        if isinstance(figures, dict) and "macro_f1" in figures:
            f1, accuracy = figures["macro_f1"]["value"], figures["accuracy"]["value"]
            print(f"{name:<68} {figures['cells']:5} cells   macro F1 {f1:.4f}   accuracy {accuracy:.4f}")
    model = {"name": bundle.card.name, "sha256": bundle.card.model.sha256}
    print(write("attributes", {"model": model, **measured.report, "published": PUBLISHED}))


if __name__ == "__main__":
    main()
