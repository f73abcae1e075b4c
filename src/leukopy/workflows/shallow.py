"""Train a shallow model on features, and measure it on validation and test."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leukopy.core.errors import SettingsError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.evaluation.coarse_gain import Summing
    from leukopy.evaluation.levels import Evaluation, Level
    from leukopy.training.features import Extractor
    from leukopy.training.shallow import ShallowModel
    from leukopy.training.shallow_settings import ShallowSettings

TIMED = 64
"""Images that the speed is measured on, from files to probabilities."""


@dataclass(frozen=True)
class ShallowResult:
    """Results of a shallow model."""

    evaluations: dict[str, Evaluation]
    """By split: ``val``, and ``test`` where there is one."""
    failures: int
    """Images that could not be decoded; ``failures.csv`` lists them."""
    out: Path


def train_shallow(
    settings: ShallowSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> ShallowResult:
    """Compute the features (cached), fit, choose on validation, measure on validation and test.

    It writes no bundle: shallow models are for comparison, and are not served.

    Args:
        settings: the recipe; its relative roots lie below ``LEUKOPY_DATA``.
        out: receives ``run.json``, ``trials.csv``, ``failures.csv``, and for each split a folder with
            ``predictions.parquet`` and the files of an evaluation.
        overwrite: overwrite the results in ``out``.
        progress: reports the features.

    Raises:
        OutputError: ``out`` holds something else.
        SettingsError: classes outside, or of the laboratory's own.
        TrainingError: a split without an image, or data that the classifier refuses.
        BundleError: no such model to take features from.
    """
    import polars as pl

    from leukopy.training.features import Extractor
    from leukopy.training.shallow import fit_shallow
    from leukopy.training.sources import own_classes_of, with_test

    if own := own_classes_of(settings, data_folder()):
        raise SettingsError(
            f"{settings.name}: shallow models know leukopy's classes alone, not {own[0].name} ({own[0].code}). "
            "Train a network, or map these labels to other classes."
        )
    run = record("train", settings)
    begin(out, run, overwrite=overwrite)
    started = time.perf_counter()
    cells = with_test(settings, data_folder())
    extractor = Extractor(settings.features)
    computed = extractor.cached(cells["path"].to_list(), cache_folder(), progress)
    _write_failures(out / "failures.csv", cells, computed.failures)
    read = [row for row in range(len(cells)) if row not in computed.failures]
    cells, values = cells[read], computed.values[read]
    model = fit_shallow(settings, *(_examples(settings, cells, values, split) for split in ("train", "val")))
    minutes = (time.perf_counter() - started) / 60
    _write_trials(out / "trials.csv", model)
    evaluations = {}
    for split in ("val", "test"):
        rows = cells.select(pl.arg_where(pl.col("split") == split)).to_series().to_numpy()
        if len(rows):
            probabilities = model.probabilities(values[rows])
            evaluations[split] = _measure(settings, split, cells[rows], probabilities)
            _write(out / split, evaluations[split], cells[rows], probabilities, run["provenance"])
    speed = _images_per_second(extractor, model, cells["path"].to_list())
    finish(out, run, failures=len(computed.failures), minutes=round(minutes, 2), images_per_second=round(speed, 1))
    return ShallowResult(evaluations, len(computed.failures), out)


def _examples(
    settings: ShallowSettings, cells: pl.DataFrame, values: NDArray[np.float32], split: str
) -> tuple[NDArray[np.float32], list[str]]:
    """Features and codes of a split. ``NEU`` and ``IG`` teach where the coarse classes are learnt by themselves."""
    import polars as pl

    from leukopy.core.errors import TrainingError
    from leukopy.taxonomy import fine_members

    chosen = cells["split"] == split
    if settings.level == "fine" and not settings.two_stages:
        exact = [len(fine_members(code)) == 1 for code in cells["code"]]
        chosen &= pl.Series(exact)
    if not chosen.any():
        raise TrainingError(f"{settings.name}: split {split!r} holds no image that can be read and has a label.")
    return values[chosen.to_numpy()], cells.filter(chosen)["code"].to_list()


def _measure(
    settings: ShallowSettings, split: str, cells: pl.DataFrame, probabilities: NDArray[np.float64]
) -> Evaluation:
    """Score the probabilities (N, F) or (N, C) of the cells of a split, as `leukopy evaluate` scores a network's."""
    from leukopy.evaluation.levels import Evaluation

    coarse, fine, sums = score(cells["code"].to_list(), probabilities, settings.level, settings.replicates)
    counts = {"listed": len(cells), "unlabelled": 0, "outside": 0, "learnt": 0, "failed": 0, "scored": len(cells)}
    data = "+".join(source.dataset for source in settings.sources)
    return Evaluation(settings.name, data, split, "image", counts, coarse, fine, sums)


def score(
    codes: Sequence[str], probabilities: NDArray[np.float64], level: Literal["fine", "coarse"], replicates: int
) -> tuple[Level, Level | None, Summing | None]:
    """Score probabilities (N, F), or (N, C) at the coarse level, against N class codes; the fine level over the images
    whose fine class is known."""
    import numpy as np

    from leukopy.evaluation.classification import coarse_indices, fine_indices
    from leukopy.evaluation.coarse_gain import summing
    from leukopy.evaluation.levels import score_level
    from leukopy.taxonomy import COARSE, FINE, coarse_matrix

    fine = sums = None
    summed = probabilities if level == "coarse" else (probabilities @ coarse_matrix()).clip(max=1)
    best = summed.argmax(axis=1)
    coarse = score_level(COARSE, coarse_indices(codes), best, summed, replicates=replicates)
    truth = fine_indices(codes)
    known = truth >= 0
    if level == "fine" and len(np.unique(truth[known])) >= 2:
        predicted = fine_within(probabilities, best)
        fine = score_level(FINE, truth[known], predicted[known], probabilities[known], replicates=replicates)
        sums = summing(truth[known], predicted[known], replicates=replicates)
    return coarse, fine, sums


def fine_within(probabilities: NDArray[np.float64], coarse: NDArray[np.intp]) -> NDArray[np.intp]:
    """The fine class (N,), sought within the coarse one, so that the two never contradict each other."""
    import numpy as np

    from leukopy.taxonomy import coarse_matrix

    found: NDArray[np.intp] = np.where(coarse_matrix().T[coarse] > 0, probabilities, -1).argmax(axis=1)
    return found


def _write(
    folder: Path,
    evaluation: Evaluation,
    cells: pl.DataFrame,
    probabilities: NDArray[np.float64],
    provenance: dict[str, Any],
) -> None:
    """Write the evaluation's files, and each cell's probabilities beside its truth."""
    import polars as pl

    from leukopy.reports.evaluation import write_evaluation
    from leukopy.taxonomy import COARSE, FINE

    classes = FINE if probabilities.shape[1] == len(FINE) else COARSE
    columns = pl.DataFrame(probabilities.astype("float32"), schema=[f"p_{cell.code}" for cell in classes])
    with atomic_path(folder / "predictions.parquet") as temporary:
        cells.select("cell_id", "source", truth="code").hstack(columns).write_parquet(temporary)
    write_evaluation(folder, evaluation, {"command": f"leukopy train configs/{evaluation.model}.yaml", **provenance})


def _write_failures(path: Path, cells: pl.DataFrame, failures: dict[int, str]) -> None:
    import polars as pl

    table = cells[list(failures)].select("cell_id", message=pl.Series(list(failures.values()), dtype=pl.String))
    write_text(path, table.write_csv())


def _write_trials(path: Path, model: ShallowModel) -> None:
    """Table of the trials and their validation figures."""
    import polars as pl

    rows = [
        {
            "stage": trial.stage,
            "parameters": " ".join(f"{name}={value}" for name, value in trial.parameters.items()),
            "macro_f1_val": trial.macro_f1,
            "chosen": trial.chosen,
        }
        for trial in model.trials
    ]
    write_text(path, pl.DataFrame(rows).write_csv(float_precision=4))


def _images_per_second(extractor: Extractor, model: ShallowModel, paths: list[str]) -> float:
    """Images per second from files to probabilities, without the cache."""
    timed = paths[:TIMED]
    started = time.perf_counter()
    model.probabilities(extractor.compute(timed).values)
    return len(timed) / (time.perf_counter() - started)
