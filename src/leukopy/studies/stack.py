"""Ensembles on frozen features: several networks stacked, beside each alone, in one table."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import write_json, write_text
from leukopy.core.paths import cache_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings, Shown
from leukopy.workflows.train import require_torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle
    from leukopy.evaluation.intervals import Estimate
    from leukopy.evaluation.levels import Level
    from leukopy.reports.comparison import ComparisonRow
    from leukopy.training.features import Computed

STACKED, MEAN, JOINED = "stacked", "mean of probabilities", "features together"
"""Rows beside those of the networks alone."""


class StackSettings(Settings):
    """Settings of `stack`."""

    data: str
    """Name of a data set, or a manifest (.csv, .parquet), with a split."""
    root: Path | None = None
    """Folder of the data set, where DATA is the name of one."""
    models: tuple[str, ...] = Field(default=("default",), min_length=1)
    """Bundled models or bundle folders, two or more: their embeddings are the features."""
    label_map: Annotated[str | None, Shown("the data set's own")] = None
    """Data set whose class names the labels are, or a table with columns label and code."""
    fit: Literal["val", "train"] = "val"
    """Split on which the classifiers are fitted. Prefer val: the features of a network's own training images look
    better than they are."""
    split: Literal["test", "val"] = "test"
    """Split to measure on."""
    folds: int = Field(default=5, ge=2)
    """Folds for the out-of-fold probabilities; a patient or slide is in one fold."""
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap replicates of each interval."""
    seed: int = 0
    """Seed of the folds."""

    @field_validator("models")
    @classmethod
    def _several(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(models)) < 2:
            raise ValueError("an ensemble needs two models or more; give each with --models")
        return tuple(dict.fromkeys(models))

    @property
    def command(self) -> str:
        """The command that does this again, without its output folder."""
        root = [] if self.root is None else ["--root", str(self.root)]
        models = [part for model in self.models for part in ("--models", model)]
        labels = ["--label-map", self.label_map] if self.label_map else []
        how = ["--fit", self.fit, "--split", self.split, "--folds", str(self.folds), "--seed", str(self.seed)]
        return shlex.join(["leukopy", "study", "stack", self.data, *root, *models, *labels, *how])


@dataclass(frozen=True)
class StackResult:
    """The table, and the gain by stacking."""

    rows: tuple[ComparisonRow, ...]
    """Each network alone, then the ensembles."""
    best: str
    """Network alone with the highest accuracy on the images that the classifiers were fitted to, out of fold."""
    gain: Estimate
    """Accuracy of the stack less that of ``best``, at the fine classes: a paired bootstrap."""
    images: int
    left_out: dict[str, int]
    """Images by reason: ``unlabelled``, ``no fine class``, ``failed``."""
    out: Path


def stack(settings: StackSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> StackResult:
    """Fit logistic regressions to the frozen features of several networks, alone and together, and measure all.

    Features are computed once and cached. Every row is measured on the same images.

    Args:
        settings: the settings.
        out: receives ``compare.md``, ``compare.csv``, ``compare.json``, ``stack.json`` (gain, images, weights by
            network), ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports features and fits.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: a split without images, or too few of a class for the folds.
        SettingsError: a data set without its root.
        BundleError: no such model.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    require_torch()
    from dataclasses import asdict

    from leukopy.bundle import open_bundle
    from leukopy.core.provenance import RESEARCH_USE_ONLY
    from leukopy.reports.comparison import write_comparison

    bundles = {_name(model): open_bundle(model) for model in settings.models}
    if len(bundles) < len(settings.models):
        raise SettingsError(f"two of the models have one name ({', '.join(bundles)}): rename a folder.")
    cells, left_out = _cells(settings)
    run = record("study stack", settings)
    begin(out, run, overwrite=overwrite)
    computed = {model: _features(model, cells, progress) for model in settings.models}
    cells, features, failed = _read(cells, computed, bundles)
    write_text(out / "failures.csv", failed.write_csv())
    fit, test = (cells["split"].to_numpy() == split for split in (settings.fit, settings.split))
    probabilities, accuracy = _fitted(cells, features, fit, test, settings, progress)
    truth = cells.filter(test)["code"].to_list()
    levels = {name: _score(truth, found, settings.replicates) for name, found in probabilities.items()}
    rows = [_row(name, *found, bundles) for name, found in levels.items()]
    best = max(accuracy, key=lambda name: accuracy[name])
    gain = _gain(truth, probabilities[STACKED], probabilities[best], settings.replicates)
    write_comparison(
        out, rows, f"{Path(settings.data).name}, {settings.split}", {"command": settings.command, **run["provenance"]}
    )
    left_out |= {"failed": len(failed)}
    facts = {"best": best, "gain": asdict(gain), "images": int(test.sum()), "fitted_to": int(fit.sum())}
    write_json(out / "stack.json", {"use": RESEARCH_USE_ONLY, **facts, "left_out": left_out})
    finish(out, run, failures=len(failed))
    return StackResult(tuple(rows), best, gain, int(test.sum()), left_out, out)


def _name(model: str) -> str:
    """Name of a model in the table: that of its training's folder for a bundle folder."""
    path = Path(model)
    return path.resolve().parent.name if path.name == "bundle" else path.name


def _cells(settings: StackSettings) -> tuple[pl.DataFrame, dict[str, int]]:
    """Images of both splits whose fine class is known, and the number left out by reason."""
    import polars as pl

    from leukopy.taxonomy import FINE
    from leukopy.workflows.evaluation_images import read_images

    listed = read_images(settings.data, settings.root, settings.label_map)
    both = listed.filter(pl.col("split").is_in([settings.fit, settings.split]))
    for split in (settings.fit, settings.split):
        if both.filter(split=split).is_empty():
            raise InputError(
                f"{settings.data}: no image is in split {split!r}. Give a manifest with a split, as a training writes "
                "it (manifest.csv), or choose other splits."
            )
    if settings.fit == settings.split:
        raise SettingsError("--fit and --split name the same images: measure on others than the classifiers learn.")
    fine = pl.col("code").is_in([cell.code for cell in FINE])
    counts = {
        "unlabelled": both["code"].null_count(),
        "no fine class": both.filter(~fine & pl.col("code").is_not_null()).height,
    }
    return both.filter(fine), counts


def _features(model: str, cells: pl.DataFrame, progress: Progress) -> Computed:
    from leukopy.training.features import Extractor
    from leukopy.training.shallow_settings import Features

    return Extractor(Features(model=model)).cached(cells["path"].to_list(), cache_folder(), progress)


def _read(
    cells: pl.DataFrame, computed: Mapping[str, Computed], bundles: Mapping[str, Bundle]
) -> tuple[pl.DataFrame, dict[str, NDArray[np.float32]], pl.DataFrame]:
    """The cells that every network could read, their features by network, and the failures."""
    import polars as pl

    failures = {row: why for one in computed.values() for row, why in one.failures.items()}
    failed = cells[sorted(failures)].select("cell_id", "path").with_columns(
        message=pl.Series([failures[row] for row in sorted(failures)], dtype=pl.String)
    )  # fmt: skip
    kept = [row for row in range(len(cells)) if row not in failures]
    features = {name: one.values[kept] for name, one in zip(bundles, computed.values(), strict=True)}
    return cells[kept], features, failed


def _fitted(
    cells: pl.DataFrame,
    features: Mapping[str, NDArray[np.float32]],
    fit: NDArray[np.bool_],
    test: NDArray[np.bool_],
    settings: StackSettings,
    progress: Progress,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Probabilities (M, F) of the test cells by row of the table, and the out-of-fold accuracy of each network."""
    import numpy as np

    from leukopy.taxonomy import FINE
    from leukopy.training.stacking import fit_logistic, stack, stacked

    codes = cells.filter(fit)["code"].to_numpy()
    used = [cell.code for cell in FINE if cell.code in set(codes)]
    labels = np.array([used.index(code) for code in codes], np.intp)
    folds = _folds(cells.filter(fit), labels, settings)
    single, second = stack({name: values[fit] for name, values in features.items()}, labels, folds, progress)
    alone = {name: one.probabilities(features[name][test]) for name, one in single.items()}
    joined = fit_logistic(np.concatenate([values[fit] for values in features.values()], axis=1), labels, folds)
    found = {
        **alone,
        MEAN: np.mean(list(alone.values()), axis=0),
        JOINED: joined.probabilities(np.concatenate([values[test] for values in features.values()], axis=1)),
        STACKED: second.probabilities(stacked(list(alone.values()))),
    }
    columns = [[cell.code for cell in FINE].index(code) for code in used]
    whole = {name: np.zeros((int(test.sum()), len(FINE))) for name in found}
    for name, values in found.items():
        whole[name][:, columns] = values
    return whole, {name: float((one.out_of_fold.argmax(axis=1) == labels).mean()) for name, one in single.items()}


def _folds(cells: pl.DataFrame, labels: NDArray[np.intp], settings: StackSettings) -> NDArray[np.intp]:
    """Fold of each cell: groups whole, classes spread evenly."""
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    counts = np.bincount(labels)
    groups = cells["group"].fill_null(cells["cell_id"]).to_numpy()
    if len(counts) < 2 or counts.min() < settings.folds or len(set(groups)) < settings.folds:
        raise InputError(
            f"{settings.data}: split {settings.fit!r} holds {counts.min()} images of its rarest class in "
            f"{len(set(groups))} patients, slides or cells; {settings.folds} of each and two classes are needed. Take "
            "fewer --folds, or another --fit."
        )
    folds = np.zeros(len(labels), np.intp)
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for fold, (_, rows) in enumerate(splitter.split(labels, labels, groups)):
        folds[rows] = fold
    return folds


def _score(truth: list[str], probabilities: NDArray[np.float64], replicates: int) -> tuple[Level, Level]:
    """Coarse and fine level."""
    from leukopy.workflows.shallow import score

    coarse, fine, _ = score(truth, probabilities, "fine", replicates)
    if fine is None:
        raise InputError("the images to measure on are of one fine class: a table needs two.")
    return coarse, fine


def _row(name: str, coarse: Level, fine: Level, bundles: Mapping[str, Bundle]) -> ComparisonRow:
    """A row of the table; an ensemble has the parameters of all its networks."""
    from leukopy.reports.comparison import ComparisonRow

    used = [bundles[name]] if name in bundles else list(bundles.values())
    return ComparisonRow(
        name,
        coarse_accuracy=coarse.classification.accuracy.value,
        coarse_macro_f1=coarse.classification.macro_f1.value,
        coarse_ece=coarse.calibration.ece.value,
        fine_accuracy=fine.classification.accuracy.value,
        fine_macro_f1=fine.classification.macro_f1.value,
        fine_ece=fine.calibration.ece.value,
        parameters=sum(bundle.card.model.parameters for bundle in used),
        coarse_f1={score.code: score.f1.value for score in coarse.classification.classes},
        fine_f1={score.code: score.f1.value for score in fine.classification.classes},
    )


def _gain(truth: list[str], one: NDArray[np.float64], other: NDArray[np.float64], replicates: int) -> Estimate:
    """Accuracy of one less that of another at the fine classes, by a paired bootstrap of images."""
    import numpy as np

    from leukopy.evaluation.classification import fine_indices
    from leukopy.evaluation.intervals import Estimate, bootstrap

    classes = fine_indices(truth)
    right = np.column_stack([one.argmax(axis=1) == classes, other.argmax(axis=1) == classes, np.ones(len(truth))])

    def difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((sums[:, 0] - sums[:, 1]) / sums[:, 2])[:, None]

    low, high = bootstrap(right.astype(np.int8), difference, replicates=replicates)
    return Estimate.of(float(difference(right.sum(axis=0)[None])[0, 0]), float(low[0]), float(high[0]))
