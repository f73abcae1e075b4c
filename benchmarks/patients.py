"""Seconds from the images of one patient to its result, with the model that ships.

    python benchmarks/patients.py [--cells 100]

The patient is drawn; what is timed does not depend on what the cells look like.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import results_file
from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients
from leukopy.patients.workflows.predict import PredictPatientsSettings, predict_patients

ROUNDS = 5


def seconds(cohort: Path, out: Path, *, pages: bool, shown: int) -> float:
    """The whole workflow for a cohort, opening the models included."""
    begun = time.perf_counter()
    settings = PredictPatientsSettings(path=cohort, pages=pages, shown=shown)
    predict_patients(settings, out, overwrite=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100)
    cells = parser.parse_args().cells
    shown = PredictPatientsSettings.model_fields["shown"].default
    figures: dict[str, object] = {"cells": cells, "rounds": ROUNDS, "load_before": os.getloadavg()[0]}
    with TemporaryDirectory() as scratch:
        cohort, out = Path(scratch) / "cohort", Path(scratch) / "out"
        draw_patients(DrawPatientsSettings(patients=1, cells=(cells, cells), seed=1), cohort)
        seconds(cohort, out, pages=False, shown=0)  # the first run loads libraries
        for name, pages, heat in (
            ("result", False, 0),
            ("result and heat maps", False, shown),
            ("result, heat maps and page", True, shown),
        ):
            figures[f"seconds, {name}"] = statistics.median(
                seconds(cohort, out, pages=pages, shown=heat) for _ in range(ROUNDS)
            )
    for name, value in figures.items():
        print(f"{name}: {value}")
    results_file.write("patient", figures)


if __name__ == "__main__":
    main()
