"""Check of this machine for leukopy: hardware, extras, models, speed, and a remedy for each missing part."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leukopy.core.errors import LeukopyError
from leukopy.core.paths import cache_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    from leukopy.imaging.preprocess import Preprocess

EXTRAS = {
    "train": "training, fits, gradient explanations",
    "study": "exploration, shallow models, label errors",
    "generate": "leukopy study generate",
    "app": "the review station",
    "adapt": "leukopy adapt",
    "heic": "HEIC pictures of telephones",
    "slides": "whole slides of scanners",
    "openvino": "another engine: LEUKOPY_RUNTIME=openvino",
    "cluster": "leukopy cluster on object stores and on Ray",
    "mcp": "leukopy mcp",
}
VARIABLES = {
    "LEUKOPY_DATA": "where data sets lie",
    "LEUKOPY_CACHE": "cache of measures and decoded images",
    "LEUKOPY_CACHE_GB": "size that the cache may have (20)",
    "LEUKOPY_REVIEW": "where the review station keeps its cases",
    "LEUKOPY_RUNTIME": "onnxruntime or openvino",
}

_GIB = 2**30
_LITTLE_MEMORY, _LITTLE_DISK = 2 * _GIB, _GIB
_DRAWN, _VIEWS = 24, 8
"""Cells drawn for the speed test, and the rotated and mirrored views of each: as many different files."""
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

Opener = Callable[[], Path]
"""Loads a bundled model and returns its folder; raises a `LeukopyError` where it cannot run."""


class DoctorSettings(Settings):
    """Duration and model of the speed test."""

    seconds: float = Field(default=20, ge=0, le=600)
    """Length of the speed test; 0 skips it."""
    model: str = "default"
    """A bundled model, or a bundle folder, whose speed is measured."""


@dataclass(frozen=True)
class Machine:
    """Processor and memory."""

    system: str
    python: str
    cores: int
    """Cores that this process may use: affinity and container limit."""
    cores_of_machine: int
    memory: int | None
    """Bytes that this process may use: the machine's, or the container's limit; None: unknown."""


@dataclass(frozen=True)
class Disk:
    """Free space at a place."""

    place: str
    path: str
    free: int
    """Bytes."""


@dataclass(frozen=True)
class Extra:
    """An optional part of leukopy."""

    name: str
    use: str
    missing: tuple[str, ...]
    """Packages that are not installed."""


@dataclass(frozen=True)
class Model:
    """A bundled model."""

    name: str
    size: int | None
    """Bytes of its folder; None where it could not be opened."""
    problem: str | None
    """None: it runs, and its taxonomy is that of this leukopy."""


@dataclass(frozen=True)
class Speed:
    """Drawn cells of 360 px, as JPEG files."""

    images_per_s: float
    """Images per second from files to rows."""
    decoded_per_s: float
    """Decoding and scaling alone."""


@dataclass(frozen=True)
class DoctorResult:
    """Findings of the check."""

    machine: Machine
    disks: tuple[Disk, ...]
    runtimes: dict[str, str]
    """Name -> version and what it runs on; "not installed"."""
    extras: tuple[Extra, ...]
    models: tuple[Model, ...]
    environment: dict[str, str]
    """Variables of leukopy that are set."""
    speed: Speed | None
    advice: tuple[str, ...]
    """Remedies for missing parts."""

    @property
    def healthy(self) -> bool:
        """True where every bundled model runs."""
        return not any(model.problem for model in self.models)


def doctor(
    settings: DoctorSettings, others: Mapping[str, Opener] | None = None, *, progress: Progress = silent
) -> DoctorResult:
    """Check machine, disks, runtimes, extras, bundled models and environment, and measure the speed.

    Args:
        settings: of the speed test.
        others: further bundled models than those of cells, by name.
        progress: reports the cells drawn and of the seconds measured.

    Raises:
        BundleError: ``settings.model`` is absent, broken or foreign.
        OutputError: the temporary folder cannot be written.
    """
    from leukopy.bundle.store import bundled_models

    cells = {name: _opener(name) for name in bundled_models()}
    models = tuple(_model(name, opener) for name, opener in {**cells, **(others or {})}.items())
    machine, disks, extras = _machine(), tuple(_disks()), tuple(_extras())
    environment = {name: value for name, value in sorted(os.environ.items()) if name.startswith("LEUKOPY_")}
    speed = _speed(settings, progress) if settings.seconds else None
    advice = (*_missing(extras, models), *_short(machine, disks), *_odd(environment))
    return DoctorResult(machine, disks, _runtimes(), extras, models, environment, speed, advice)


def _machine() -> Machine:
    from joblib import cpu_count

    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return Machine(system, platform.python_version(), cpu_count(), os.cpu_count() or 1, _memory())


def _memory() -> int | None:
    """Bytes: the least of the machine's memory and the limits of its control groups."""
    found = []
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in _LIMITS:
        try:
            found.append(int(limit.read_text()))
        except (OSError, ValueError):  # no control group, or "max"
            continue
    return min(found, default=None)


def _disks() -> Iterator[Disk]:
    places = {"current folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir()), "cache": cache_folder()}
    for place, path in places.items():
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
        yield Disk(place, str(path), shutil.disk_usage(there).free)


def _runtimes() -> dict[str, str]:
    import onnxruntime

    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    return {
        "onnxruntime": f"{onnxruntime.__version__} ({providers})",
        "openvino": _version("openvino") or "not installed",
    }


def _extras() -> Iterator[Extra]:
    """The extras of leukopy's own metadata, and the packages of each that are not installed."""
    needed = metadata.requires("leukopy") or ()
    for name, use in EXTRAS.items():
        marked = (re.match(rf"([\w.-]+).*;.*extra == ['\"]{name}['\"]", line) for line in needed)
        packages = [found.group(1) for found in marked if found]
        yield Extra(name, use, tuple(package for package in packages if _version(package) is None))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _opener(name: str) -> Opener:
    def load() -> Path:
        from leukopy import load

        classifier = load(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "grey.png"
            _write(path, None)
            classifier.predict([path])
        return classifier.bundle.path

    return load


def _model(name: str, opener: Opener) -> Model:
    try:
        folder = opener()
    except LeukopyError as error:
        return Model(name, None, str(error))
    return Model(name, sum(file.stat().st_size for file in folder.iterdir() if file.is_file()), None)


def _write(path: Path, seed: int | None) -> None:
    """Write a drawn cell in all its views (``path`` is a folder), or a grey picture (``path`` is a file)."""
    import numpy as np
    from PIL import Image

    if seed is None:
        Image.new("RGB", (64, 64), (128, 128, 128)).save(path)
        return
    from leukopy.synthesis import draw_cell
    from leukopy.taxonomy import FINE

    pixels = draw_cell(FINE[seed % len(FINE)].code, seed=seed).image
    for view in range(_VIEWS):
        turned = np.rot90(pixels if view < _VIEWS // 2 else pixels[:, ::-1], view)
        Image.fromarray(turned).save(path / f"cell_{seed:03}_{view}.jpg", quality=90)


def _speed(settings: DoctorSettings, progress: Progress) -> Speed:
    from leukopy.bundle import open_bundle

    card = open_bundle(settings.model).card  # before a cell is drawn
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(_DRAWN):
            _write(folder, number)
            progress("drawing cells", number + 1, _DRAWN)
        half = settings.seconds / 2
        rows = _rate(lambda: _classify(folder, settings.model), half, "files to rows, seconds", progress)
        decoded = _rate(lambda: _decode(folder, card.preprocess), half, "decoding alone, seconds", progress)
    return Speed(rows, decoded)


def _rate(work: Callable[[], int], seconds: float, stage: str, progress: Progress) -> float:
    """Images per second of ``work``, repeated until the time is over. The first time, which loads, does not count."""
    work()
    done, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or not done:
        progress(stage, round(min(spent, seconds)), round(seconds))
        done += work()
    progress(stage, round(seconds), round(seconds))
    return done / (time.perf_counter() - begin)


def _classify(folder: Path, model: str) -> int:
    from leukopy.workflows.predict import PredictSettings, predict

    return predict(PredictSettings(input=folder, model=model), BytesIO()).cells


def _decode(folder: Path, preprocess: Preprocess) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from joblib import cpu_count

    from leukopy.imaging.decode import read_cell

    paths = sorted(folder.iterdir())
    with ThreadPoolExecutor(cpu_count()) as pool:
        return len(list(pool.map(lambda path: read_cell(path, preprocess), paths)))


def _missing(extras: tuple[Extra, ...], models: tuple[Model, ...]) -> Iterator[str]:
    for model in models:
        if model.problem:
            yield f"Model {model.name} cannot run; install it again: pip install --force-reinstall --no-deps leukopy"
    for extra in extras:
        if extra.missing:
            yield f"For {extra.use}: pip install 'leukopy[{extra.name}]'"


def _short(machine: Machine, disks: tuple[Disk, ...]) -> Iterator[str]:
    if machine.memory is not None and machine.memory < _LITTLE_MEMORY:
        yield f"{machine.memory / _GIB:.1f} GiB of memory are little: use --threads 1, and close other programs."
    for disk in disks:
        if disk.free < _LITTLE_DISK:
            yield f"{disk.place}, {disk.path}: only {disk.free / _GIB:.1f} GiB are free. Make room, or move it."


def _odd(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if name not in VARIABLES:
            yield f"{name}: leukopy reads no such variable. It reads {', '.join(VARIABLES)}."
        elif name == "LEUKOPY_DATA" and not Path(value).is_dir():
            yield f"{name}={value}: there is no such folder. Correct it."
        elif name == "LEUKOPY_RUNTIME" and value not in ("", "onnxruntime", "openvino"):
            yield f"{name}={value}: no such runtime. Set onnxruntime or openvino, or unset it."
        elif value == "openvino" and name == "LEUKOPY_RUNTIME" and _version("openvino") is None:
            yield f"{name}={value}: OpenVINO is not installed. pip install 'leukopy[openvino]', or unset it."
