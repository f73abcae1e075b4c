"""Images per second from JPEG files on disk to rows, as ratios in one run.

    python benchmarks/speed.py [--rounds 5] [--images 1000]

Every contender runs once per round, in turn; each round gives one ratio, and the medians are reported.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import leukopy
from images import jpegs
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.cores import available_cores
from leukopy.inference.rows import CellInput
from leukopy.models.cell_net import CellNet
from results_file import write

CORES = available_cores()


def engine(classifier: leukopy.inference.classifier.Classifier, paths: list[Path]) -> None:
    cells = (CellInput(str(index), str(path)) for index, path in enumerate(paths))
    rows = sum(len(part.cells) for part in classifier.stream(cells))
    assert rows == len(paths)


def decode_only(spec: Preprocess, paths: list[Path]) -> None:
    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(lambda path: read_cell(path, spec), paths):
            pass


class Files(Dataset[torch.Tensor]):
    """What a first script would do: open, convert, resize."""

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

        self.net = timm.create_model("vgg19", num_classes=11)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images.permute(0, 3, 1, 2).float() / 255)


def speed(run: Callable[[list[Path]], None], paths: list[Path]) -> float:
    begin = time.perf_counter()
    run(paths)
    return len(paths) / (time.perf_counter() - begin)


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
    options = parser.parse_args()
    classifier = leukopy.load("default")
    spec = classifier.card.preprocess
    torch.set_num_threads(CORES)
    lite0 = CellNet("tf_efficientnet_lite0", spec, pretrained=False).eval()
    vgg19 = Vgg19().eval()
    with tempfile.TemporaryDirectory() as scratch:
        files, what = jpegs(Path(scratch))
        many = list(islice(cycle(files), options.images))
        contenders: dict[str, tuple[Callable[[list[Path]], None], list[Path]]] = {
            "leukopy, files to rows": (lambda paths: engine(classifier, paths), many),
            "decoding alone": (lambda paths: decode_only(spec, paths), many),
            "same network, PyTorch eager + DataLoader": (lambda p: torch_eager(lite0, spec.size, p), many[:320]),
            "VGG19 at 360 px, PyTorch eager + DataLoader": (lambda p: torch_eager(vgg19, 360, p), many[:8]),
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(options.rounds):
            for name, (run, paths) in contenders.items():
                rates[name].append(speed(run, paths))
        ten = Path(scratch) / "ten"
        ten.mkdir()
        for path in files[:10]:
            (ten / path.name).write_bytes(path.read_bytes())
        times = dict(start_up(ten, options.rounds))
    ours = rates["leukopy, files to rows"]
    figures: dict[str, object] = {"images": what, "cores": CORES, "input_px": spec.size, **times}
    for name, measured in rates.items():
        ratios = [a / b for a, b in zip(ours, measured, strict=True)]
        figures[name] = {
            "images_per_s": round(statistics.median(measured), 2),
            "best_images_per_s": round(max(measured), 2),
            "leukopy_is_times_as_fast": round(statistics.median(ratios), 3),
        }
        print(
            f"{name:<46} {statistics.median(measured):8.1f} images/s   leukopy / this: {statistics.median(ratios):.2f}"
        )
    print(times)
    print(write("speed", figures))


if __name__ == "__main__":
    main()
