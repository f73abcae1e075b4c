"""Ensembles on the frozen features of the default model and of others, on PBC: fitted to validation, measured on test.

python benchmarks/stack.py runs/vgg16_96/bundle [FURTHER BUNDLES]
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from leukopy.core.paths import data_folder
from leukopy.studies.stack import StackSettings, stack
from results_file import write

FIGURES = ("coarse_accuracy", "coarse_macro_f1", "fine_accuracy", "fine_macro_f1", "fine_ece", "parameters")


def main(models: list[str]) -> None:
    settings = StackSettings(data="pbc", root=data_folder() / "cells" / "pbc", models=("default", *models))
    with TemporaryDirectory() as folder:
        found = stack(settings, Path(folder) / "out")
    rows = {row.name: {name: getattr(row, name) for name in FIGURES} for row in found.rows}
    gain = {"over": found.best, **asdict(found.gain)}
    write("stack", {"images": found.images, "rows": rows, "gain_of_stack": gain, "left_out": found.left_out})


if __name__ == "__main__":
    main(sys.argv[1:])
