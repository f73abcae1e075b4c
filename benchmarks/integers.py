"""What inexact integers cost on this processor: the bundled classifier as it ships, and with overflowing sums.

    LEUKOPY_DATA=... python benchmarks/integers.py

ONNX Runtime adds products of 8-bit integers in 16 bits on x86 processors without VNNI, unless a session asks for exact
sums; leukopy asks. On processors with VNNI both columns are the same. The reference is the same network with each
integer computed as a float. PBC's validation split; lymphocytes of drawn fields; milliseconds on one thread, in turns.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
from PIL import Image

import leukopy
from leukopy.bundle import open_bundle
from leukopy.inference import sessions
from leukopy.inference.openvino import VARIABLE
from leukopy.network.session import exact_options
from leukopy.synthesis import draw_cell, draw_field
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from results_file import write

ROUNDS = 9
Options = Callable[[], onnxruntime.SessionOptions]


def plain_options() -> onnxruntime.SessionOptions:
    return onnxruntime.SessionOptions()


def as_floats() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def session(options: Options) -> Any:
    made = options()
    made.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(open_bundle("default").model_path, made, providers=["CPUExecutionProvider"])


def logits() -> dict[str, object]:
    """Largest and mean difference of the logits from the reference, and milliseconds per picture."""
    kinds: dict[str, Options] = {"exact": exact_options, "overflowing": plain_options}
    opened = {name: session(options) for name, options in kinds.items()}
    side = opened["exact"].get_inputs()[0].shape[1]
    codes = ("LY", "SNE", "MO", "EO", "PLT", "BA", "ERB", "MY")
    pictures = np.stack([draw_cell(code, seed=seed, size=side).image for seed, code in enumerate(codes * 8)])
    (reference,) = session(as_floats).run(["logits"], {"images": pictures})
    found: dict[str, object] = {}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for name, one in opened.items():
        away = np.abs(one.run(["logits"], {"images": pictures})[0] - reference)
        found[name] = {"largest difference": round(float(away.max()), 3), "mean": round(float(away.mean()), 4)}
    for _ in range(ROUNDS):
        for name, one in opened.items():
            begin = time.process_time()
            one.run(None, {"images": pictures})
            times[name].append(1000 * (time.process_time() - begin) / len(pictures))
    found["ms per picture"] = {name: round(statistics.median(own), 2) for name, own in times.items()}
    return found


def answers(options: Options) -> dict[str, object]:
    """Accuracy on PBC's validation split, and the drawn lymphocytes that are called unidentified."""
    original = sessions.exact_options
    sessions.exact_options = options
    sessions.open_session.cache_clear()
    sessions.open_on_device.cache_clear()
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(os.environ["LEUKOPY_DATA"], "cells", "pbc")
            evaluation = evaluate(
                EvaluateSettings(data="pbc", root=root, split="val", examples=0), Path(folder, "val")
            ).evaluation
            paths = []
            for seed in range(12):
                drawn = draw_field({"SNE": 6, "LY": 6, "MO": 2, "EO": 1}, seed=seed, size=(900, 1200))
                paths.append(Path(folder, f"{seed}.png"))
                Image.fromarray(drawn.image).save(paths[-1])
            cells = leukopy.load().fields(paths, leukopy.load_detector()).cells
        assert evaluation.fine is not None
        coarse, fine = evaluation.coarse.classification, evaluation.fine.classification
        lymphocytes = cells.filter(pl.col("fine") == "LY")
        unidentified = lymphocytes["flags"].cast(pl.String).str.contains("unidentified")
        return {
            "pbc validation": {
                "coarse accuracy": asdict(coarse.accuracy),
                "fine accuracy": asdict(fine.accuracy),
                "fine macro F1": asdict(fine.macro_f1),
            },
            "drawn lymphocytes": {"found": len(lymphocytes), "unidentified": int(unidentified.sum())},
        }
    finally:
        sessions.exact_options = original
        sessions.open_session.cache_clear()
        sessions.open_on_device.cache_clear()


def main() -> None:
    os.environ.pop(VARIABLE, None)
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    figures = {
        "processor has VNNI": "vnni" in cpu,
        "logits of drawn cells": logits(),
        "exact": answers(exact_options),
        "overflowing": answers(plain_options),
    }
    print(figures)
    write("integers", figures)


if __name__ == "__main__":
    main()
