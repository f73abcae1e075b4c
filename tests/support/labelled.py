"""Images with labels, of which a model of known answers makes known errors."""

from __future__ import annotations

import shutil
from pathlib import Path

from leukopy.taxonomy import FINE
from leukopy.workflows.evaluate import EvaluateResult, EvaluateSettings, evaluate
from support.colour_model import ColourModel

PER_CLASS = 4


def write_labelled(folder: Path, model: ColourModel) -> Path:
    """A manifest of four copies of one picture of each fine class; of the first, one in four is drawn as the second."""
    slide, lines = folder / "slide", ["path,label,split"]
    slide.mkdir()
    for cell in FINE:
        for number in range(PER_CLASS):
            drawn = "BNE" if (cell.code, number) == ("SNE", 0) else cell.code
            shutil.copy(model.draw(folder / "drawn" / f"{drawn}.png", drawn), slide / f"{cell.code}{number}.png")
            lines.append(f"slide/{cell.code}{number}.png,{cell.code},test")
    path = folder / "slide.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def add_rows(manifest: Path, *lines: str) -> None:
    manifest.write_text(manifest.read_text() + "".join(f"{line}\n" for line in lines))


def run_evaluation(manifest: Path, model: ColourModel, /, **settings: object) -> EvaluateResult:
    """Evaluate ``model`` on the images of a manifest, into the folder ``out`` beside it."""
    built = EvaluateSettings.build({"data": str(manifest), "model": str(model.path), "replicates": 200, **settings})
    return evaluate(built, manifest.parent / "out")
