"""Does the differential of drawn slides, from fields, hold the mixture that was drawn?

    python benchmarks/drawn_slides.py 100

Each slide is 8 fields with about 12 leukocytes each, of the usual mixture of an adult, in a laboratory of its own
(stain, light, sharpness), as a clean monolayer. For each class: share of the slides whose 95 % limits hold the share of
the mixture. The limits cover sampling error alone; a coverage below .95 shows what missed and misnamed cells cost.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from leukopy.evaluation.intervals import clopper_pearson
from leukopy.taxonomy import find
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import ADULT_MIX, class_weights
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields
from leukopy.workflows.slide_run import SlideResult
from results_file import write

APPEARANCES = ("pbc", "random")


def one(seed: int, appearance: str) -> dict[str, tuple[int, float, float]]:
    """Coarse class -> count and limits in per cent of one slide."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        drawn = draw_fields(
            DrawFieldsSettings(
                fields=8, cells=12, size=(900, 1200), um_per_px=0.14, seed=1000 + seed, appearance=appearance
            ),
            out / "slide",
        )
        result = analyze(AnalyzeSettings(input=drawn.fields, input_kind="fields"), out / "results")
        assert isinstance(result, SlideResult)
        lines = result.differential.lines
        return {line.code: (line.count, line.low, line.high) for line in lines if line.low is not None}


def mixture() -> dict[str, float]:
    """Share of each class among the leukocytes that were drawn, in per cent, the fine classes and their sums."""
    codes, weights = class_weights(ADULT_MIX | {"PLT": 0, "ERB": 0})
    shares = {code: 100 * float(share) for code, share in zip(codes, weights, strict=True) if share}
    for code in list(shares):
        coarse = find(code).coarse
        if coarse != code:
            shares[coarse] = shares.get(coarse, 0.0) + shares[code]
    return shares


def main() -> None:
    slides, true = int(sys.argv[1]), mixture()
    figures: dict[str, object] = {"slides": slides, "mixture_percent": true}
    with ProcessPoolExecutor(2) as pool:
        for appearance in APPEARANCES:
            found = list(pool.map(one, range(slides), [appearance] * slides))
            inside = {
                code: [slide[code][1] <= share <= slide[code][2] for slide in found if code in slide]
                for code, share in true.items()
            }
            figures[appearance] = {
                code: {"inside": sum(held) / len(held), "limits": clopper_pearson(sum(held), len(held))}
                for code, held in inside.items()
                if held
            } | {"refused": sum(not slide for slide in found)}
            print(appearance, {code: round(sum(held) / len(held), 2) for code, held in inside.items() if held})
    write("drawn_slides", figures)


if __name__ == "__main__":
    main()
