"""Train a generator of cells, make pictures with it, and judge them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, check_same, finish, record
from leukopy.core.settings import apply_changes, read_mapping
from leukopy.workflows.train import require_torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from leukopy.evaluation.generated import CellPictures
    from leukopy.reports.generated import FittedTo, GeneratedReport, Look
    from leukopy.training.generated import Judge
    from leukopy.training.generator import GeneratorSettings

    Rows = NDArray[np.float32]

_FEWEST = 8
"""Pictures of a class, of both kinds, from which its distance is measured."""


def read_generator(path: Path, changes: dict[str, Any]) -> GeneratorSettings:
    """Read the recipe of a generator and apply ``changes`` (dotted name -> value).

    Raises:
        MissingExtraError: torch is not installed.
        SettingsError: a name or value is wrong.
    """
    require_torch()
    from leukopy.training.generator import GeneratorSettings

    values = read_mapping(path)
    return GeneratorSettings.build(apply_changes(values.get("settings", values), changes), where=str(path))


def generate(
    settings: GeneratorSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    show_progress: bool = False,
) -> GeneratedReport:
    """Train a generator, make pictures, and measure them on the validation cells of its sources.

    Args:
        settings: the recipe; its relative roots lie below ``LEUKOPY_DATA``.
        out: receives ``generator.safetensors``, ``curves/``, ``checkpoints/``, and what
            `leukopy.reports.generated.write_generated` writes.
        resume: resume the interrupted run in ``out``.
        overwrite: overwrite the results in ``out``.
        progress: reports decoding, making and measuring.
        show_progress: draw the epochs' bar.

    Raises:
        MissingExtraError: torch or diffusers is not installed.
        OutputError: ``out`` holds something else, or a run of another recipe.
        TrainingError: no class of a laboratory has pictures enough, or the training diverged.
    """
    from leukopy.reports.generated import write_generated
    from leukopy.training.data import CellData
    from leukopy.training.generated import Judge, make_pictures, move_pictures, real_pictures
    from leukopy.training.generator import GENERATOR_FILE, fit_generator, load_generator
    from leukopy.training.sources import uses

    run = record("study generate", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    data = CellData(settings, data_folder(), cache_folder(), progress)
    if not (out / GENERATOR_FILE).exists():
        fit_generator(settings, data, out, resume=resume, show_progress=show_progress)
    train, val = (real_pictures(part) for part in (data.as_served(data.train_set.cells), data.val_set))
    net = load_generator(settings, out)
    made = {
        "made": make_pictures(net, settings, train, progress),
        "moved": move_pictures(net, settings, train, progress),
    }
    made = {kind: pictures for kind, pictures in made.items() if len(pictures)}
    report = replace(_judge(settings, train, val, made, Judge(progress)), trained_on=uses(data.train_set.cells))
    write_generated(out, report, run["provenance"])
    finish(out, run, failures=len(data.failures), **{kind: len(pictures) for kind, pictures in made.items()})
    return report


def _judge(
    settings: GeneratorSettings, train: CellPictures, val: CellPictures, made: dict[str, CellPictures], judge: Judge
) -> GeneratedReport:
    from leukopy.evaluation.generated import nearest
    from leukopy.reports.generated import Closest, GeneratedReport

    of_train, of_val = judge.features(train.pixels), judge.features(val.pixels)
    held_out = nearest(of_train, judge.turned(val.pixels))[1]
    looks: list[Look] = []
    fitted: list[FittedTo] = []
    closest: dict[str, Closest] = {}
    for kind, pictures in made.items():
        features = judge.features(pictures.pixels)
        closest[kind] = Closest(*nearest(of_train, judge.turned(pictures.pixels)))
        near = closest[kind].distances
        looks += _looks(kind, (pictures, features), (train, of_train), (val, of_val), (near, held_out))
        if kind == "made":
            fitted += _fitted_to((pictures, features), (train, of_train), (val, of_val), settings.seed)
    return GeneratedReport(settings.title, settings.limits, tuple(looks), tuple(fitted), made, closest, train, val)


def _looks(
    kind: str,
    made: tuple[CellPictures, Rows],
    train: tuple[CellPictures, Rows],
    val: tuple[CellPictures, Rows],
    distances: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Iterator[Look]:
    """Distances of the made pictures of each laboratory: to real pictures, and to the nearest training picture."""
    import numpy as np

    from leukopy.evaluation.generated import copies, kernel_distance
    from leukopy.reports.generated import Look

    for name in sorted(set(made[0].laboratories)):
        there = made[0].laboratories == name
        common = [
            code for code in sorted(set(made[0].codes[there]))
            if min(pictures.of(name, code).sum() for pictures, _ in (made, train, val)) >= _FEWEST
        ]  # fmt: skip
        to_real, floor = (
            kernel_distance([
                (features[pictures.of(name, code)], val[1][val[0].of(name, code)]) for code in common
            ]) if common else None
            for pictures, features in (made, train)
        )  # fmt: skip
        yield Look(
            kind, name, int(np.sum(there)), tuple(common), to_real, floor, copies(distances[0][there], distances[1])
        )


def _fitted_to(
    made: tuple[CellPictures, Rows], train: tuple[CellPictures, Rows], val: tuple[CellPictures, Rows], seed: int
) -> Iterator[FittedTo]:
    """F1 by fine class of classifiers fitted to made pictures alone, and to as many real ones, on validation cells."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from leukopy.reports.generated import FittedTo
    from leukopy.taxonomy import FINE

    rng = np.random.default_rng(seed)
    rows_made, rows_real = list[int](), list[int]()
    kinds = sorted(set(zip(made[0].laboratories.tolist(), made[0].codes.tolist(), strict=True)))
    for name, code in kinds:
        if code in [cell.code for cell in FINE]:
            own, real = (np.flatnonzero(pictures.of(name, code)) for pictures in (made[0], train[0]))
            count = min(len(own), len(real))
            rows_made += own[:count].tolist()
            rows_real += rng.permutation(real)[:count].tolist()
    codes = sorted(set(made[0].codes[rows_made]) & set(val[0].codes))
    if len(codes) < 2:
        return
    test = np.isin(val[0].codes, codes)
    for kind, (pictures, features), rows in (("made", made, rows_made), ("real", train, rows_real)):
        fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        fitted.fit(features[rows], pictures.codes[rows])
        found = fitted.predict(val[1][test])
        scores = f1_score(val[0].codes[test], found, labels=codes, average=None, zero_division=0)
        yield FittedTo(kind, len(rows), int(test.sum()), dict(zip(codes, map(float, scores), strict=True)))
