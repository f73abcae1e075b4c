"""Images per second, and processor time per image, from JPEG files on disk to rows, as ratios in one run.

    [LEUKOPY_RUNTIME=openvino] python benchmarks/speed.py [--rounds 5] [--images 1000] [--model default ...]

What is looked at once for a whole slide (`Classifier.survey`) is told apart, in seconds.

Every contender runs once per round, in turn; each round gives one ratio, and the medians are reported. Where other work
shares the machine, the processor time is what tells: of it the smallest round is reported beside the median.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from joblib import cpu_count
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from images import jpegs
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.engine import BATCH
from leukopy.inference.openvino import RUNTIMES, VARIABLE
from leukopy.inference.rows import CellInput
from leukopy.models.cell_net import CellNet
from leukopy.slides.classifier import Classifier
from leukopy.taxonomy import FINE
from results_file import write

CORES = cpu_count()


def engine(classifier: Classifier, paths: list[Path]) -> None:
    cells = (CellInput(str(index), str(path)) for index, path in enumerate(paths))
    rows = sum(len(part.cells) for part in classifier.slide([]).rows(cells))
    assert rows == len(paths)


def survey_s(classifier: Classifier, paths: list[Path]) -> float:
    """Seconds of the survey of a slide, however many cells it has."""
    cells, begin = [CellInput(str(index), str(path)) for index, path in enumerate(paths)], time.perf_counter()
    _ = classifier.slide(cells).survey
    return round(time.perf_counter() - begin, 3)


def decode_only(spec: Preprocess, paths: list[Path]) -> None:
    """Speed of the engine without its network: as many threads, each with a batch at a time."""
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(lambda batch: [read_cell(path, spec) for path in batch], batches):
            pass


class Files(Dataset[torch.Tensor]):
    """Preparation in a simple script: open, convert, resize."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = Image.open(self.paths[index]).convert("RGB").resize((self.size, self.size))
        return torch.from_numpy(np.array(image))


def torch_eager(net: torch.nn.Module, size: int, paths: list[Path]) -> None:
    loader = DataLoader(Files(paths, size), batch_size=32, num_workers=CORES)
    with torch.inference_mode():
        for images in loader:
            net(images)


class Vgg19(torch.nn.Module):
    """The study's best convolutional network."""

    def __init__(self) -> None:
        super().__init__()
        import timm  # noqa: PLC0415 (after leukopy.models, which makes torchvision importable)

        self.net = timm.create_model("vgg19", num_classes=len(FINE))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images.permute(0, 3, 1, 2).float() / 255)


class Round(NamedTuple):
    """Duration of one round of a contender."""

    images_per_s: float
    cpu_ms: float
    """Milliseconds of processor time per image, of this process and of those it started and waited for."""


Contender = tuple[Callable[[list[Path]], None], list[Path]]


def measure(run: Callable[[list[Path]], None], paths: list[Path]) -> Round:
    begin, before = time.perf_counter(), os.times()
    run(paths)
    seconds, after = time.perf_counter() - begin, os.times()
    return Round(len(paths) / seconds, 1000 * (sum(after[:4]) - sum(before[:4])) / len(paths))


def of_model(classifier: Classifier, files: list[Path]) -> dict[str, Contender]:
    """A bundle from files to rows, and what it is held against."""
    spec = classifier.card.preprocess
    lite0 = CellNet("tf_efficientnet_lite0", spec, pretrained=False).eval()
    return {
        "files to rows": (lambda paths: engine(classifier, paths), files),
        "decoding alone": (lambda paths: decode_only(spec, paths), files),
        "EfficientNet-lite0, PyTorch eager + DataLoader": (lambda p: torch_eager(lite0, spec.size, p), files[:320]),
    }


def table(ours: list[Round], others: dict[str, list[Round]]) -> dict[str, dict[str, float]]:
    """The figures of contenders; the ratios are to ``ours``, round by round."""
    figures = {}
    for name, rounds in others.items():
        faster = [mine.images_per_s / other.images_per_s for mine, other in zip(ours, rounds, strict=True)]
        cheaper = [other.cpu_ms / mine.cpu_ms for mine, other in zip(ours, rounds, strict=True)]
        figures[name] = {
            "images_per_s": round(statistics.median(one.images_per_s for one in rounds), 2),
            "best_images_per_s": round(max(one.images_per_s for one in rounds), 2),
            "cpu_ms_per_image": round(statistics.median(one.cpu_ms for one in rounds), 3),
            "least_cpu_ms_per_image": round(min(one.cpu_ms for one in rounds), 3),
            "leukopy_is_times_as_fast": round(statistics.median(faster), 3),
            "leukopy_is_times_as_cheap": round(statistics.median(cheaper), 3),
        }
        print(f"  {name:<46}" + "".join(f" {value:10.3f}" for value in figures[name].values()))
    return figures


def start_up(folder: Path, rounds: int) -> Iterator[tuple[str, float]]:
    """Median seconds of whole processes: the help, and ten images to a report."""
    leuko = str(Path(sys.executable).parent / "leukopy")
    for name, command in {
        "help_s": [leuko, "--help"],
        "predict_10_images_s": [leuko, "predict", str(folder), "--out", str(folder.parent / "rows.csv")],
        "analyze_10_images_s": [leuko, "analyze", str(folder), "--out", str(folder.parent / "out"), "--overwrite"],
    }.items():
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - begin)
        yield name, round(statistics.median(times), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--model", nargs="+", default=["default"], help="bundles, by name or folder")
    options = parser.parse_args()
    torch.set_num_threads(CORES)
    vgg19 = Vgg19().eval()
    with tempfile.TemporaryDirectory() as scratch:
        files, what = jpegs(Path(scratch))
        many = list(islice(cycle(files), options.images))
        models = {model: Classifier.open(model) for model in options.model}
        contenders = {model: of_model(classifier, many) for model, classifier in models.items()}
        vgg: Contender = (lambda paths: torch_eager(vgg19, 360, paths), many[:8])
        rounds: dict[str, dict[str, list[Round]]] = {
            model: {name: [] for name in of} for model, of in contenders.items()
        }
        of_vgg: list[Round] = []
        for _ in range(options.rounds):
            for model, of in contenders.items():
                for name, (run, paths) in of.items():
                    rounds[model][name].append(measure(run, paths))
            of_vgg.append(measure(*vgg))
        ten = Path(scratch) / "ten"
        ten.mkdir()
        for path in files[:10]:
            (ten / path.name).write_bytes(path.read_bytes())
        times = dict(start_up(ten, options.rounds))
    runtime = os.environ.get(VARIABLE, RUNTIMES[0])
    figures: dict[str, object] = {"images": what, "cores": CORES, "runtime": runtime, "start_up": times}
    for model, measured in rounds.items():
        bundle = models[model].bundle
        print(f"{model}: images/s, best; CPU ms per image, least; leukopy is times as fast, as cheap")
        figures[Path(model).name] = {
            "input_px": bundle.card.preprocess.size,
            "network_mb": round(bundle.model_path.stat().st_size / 1e6, 1),
            "survey_s": survey_s(models[model], many),
            **table(measured["files to rows"], measured | {"VGG19 at 360 px, PyTorch eager + DataLoader": of_vgg}),
        }
    print(times)
    print(write("speed" if runtime == RUNTIMES[0] else f"speed_{runtime}", figures))


if __name__ == "__main__":
    main()
