"""Try a grid of training settings on the folds of a cohort, as the lymphocytosis study did."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukopy.core.errors import ImageError, InputError, MissingExtraError, TrainingError
from leukopy.core.files import read_json, write_json, write_text
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, check_same, finish, record
from leukopy.core.settings import apply_changes, read_mapping
from leukopy.patients.workflows.cohort import Bags, CohortSettings, open_labelled, read_bags

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.imaging.preprocess import Preprocess
    from leukopy.patients.card import Bag
    from leukopy.patients.data import Cohort
    from leukopy.patients.reports.ablation import SettingFigures
    from leukopy.patients.training.networks import PatientNetSettings
    from leukopy.patients.training.networks.ablation import AblateSettings

COMMAND = "study ablate"
FAILURES_FILE = "failures.csv"

_GROWS = frozenset({"optimisers", "learning_rates", "decays"})
"""A fit is kept by the name of its setting, so a grid may grow or shrink when its run is resumed."""


@dataclass(frozen=True)
class AblateResult:
    """What each setting reached, and where it lies."""

    folder: Path
    figures: tuple[SettingFigures, ...]
    failures: pl.DataFrame
    """cell_id, reason, message of the images that were not read."""


def read_ablation(config: Path | None, changes: dict[str, Any]) -> AblateSettings:
    """Read settings and apply ``changes`` (dotted name -> value), as in ``{"net.epochs": 2}``.

    Args:
        config: YAML, or the ``run.json`` of an earlier run; None: the defaults.
        changes: what differs.

    Raises:
        InputError: the file cannot be read.
        MissingExtraError: torch is not installed.
        SettingsError: a name or value is wrong.
    """
    try:
        from leukopy.patients.training.networks.ablation import AblateSettings
    except ImportError as error:
        raise MissingExtraError(f"leukopy {COMMAND}", "train") from error

    values = read_mapping(config) if config else {}
    return AblateSettings.build(apply_changes(values.get("settings", values), changes), where=str(config or "settings"))


def ablate(
    settings: AblateSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> AblateResult:
    """Fit each setting on each fold's training patients, and follow the validation patients after each epoch.

    Patients without a label are left out. Folds are stratified by label and the same for all settings. The figure is
    balanced accuracy, tumoral from a probability of .5 on. With ``inner_share`` some training patients are held back
    and choose the epoch; without it none is chosen: see `leukopy.patients.reports.ablation` on what choosing one does.

    Args:
        settings: what to try; its relative paths lie below ``LEUKOPY_DATA``.
        out: receives ``ablation.md``, ``.csv`` and ``.png``, ``failures.csv``, ``run.json`` and ``fits/``, one small
            file a fit.
        resume: keep the fits of the run that ``out`` holds, whose grid may have been another.
        overwrite: replace it.
        progress: told of the cells, the fits, and the epochs of each fit.

    Raises:
        InputError, ManifestError, SettingsError: as `open_labelled`; or too few patients have a label for the folds.
        BundleError: there is no such cell model.
        TrainingError: a fit diverged; the message names it.
        OutputError: ``out`` holds something else or another run, or cannot be written.
    """
    from leukopy.patients.reports.ablation import ablation_figures, write_ablation

    cells = data_folder() / settings.cells if settings.cells else None
    cohort = open_labelled(
        CohortSettings(path=data_folder() / settings.path, cells=cells, reference_date=settings.reference_date)
    )
    _check_folds(cohort, settings.folds)
    run = record(COMMAND, settings, inputs=_inputs(cohort, settings))
    earlier = begin(out, run, resume=resume, overwrite=overwrite)
    if earlier:
        check_same(out, earlier, run, free=_GROWS)
    read = _bags(settings, cohort, progress)
    bags = read.bags
    write_text(out / FAILURES_FILE, read.failures.write_csv())
    try:
        curves = _curves(settings, bags, out / "fits", progress)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("the finished fits are kept; run again with --resume.") from interrupt
    provenance = {
        **run["provenance"],
        "protocol": _protocol(settings, bags),
        "command": f"leukopy {COMMAND} --config run.json --out again",
    }
    write_ablation(out, curves, provenance)
    finish(out, run, patients=len(bags), cells=sum(len(bag.cells) for bag in bags), failures=read.failures.height)
    return AblateResult(out, ablation_figures(curves), read.failures)


def _check_folds(cohort: Cohort, folds: int) -> None:
    for label, name in enumerate(("reactive", "tumoral")):
        if (count := cohort.patients.filter(label=label).height) < folds:
            raise InputError(
                f"{cohort.name}: {count} patients are labelled {name}, too few for {folds} folds. Give more, or set "
                "fewer folds."
            )


def _inputs(cohort: Cohort, settings: AblateSettings) -> dict[str, object]:
    """What a resumed run must find unchanged. The digest tells nothing of a patient."""
    tables = cohort.patients.write_csv() + cohort.cells.drop("path").write_csv()
    inputs: dict[str, object] = {
        "patients": cohort.patients.height,
        "cells": cohort.cells.height,
        "sha256": hashlib.sha256(tables.encode()).hexdigest(),
    }
    if settings.net.pictures is None:
        from leukopy.patients.inference.bags import describe_network

        inputs["cell_model"] = describe_network(settings.model).sha256
    return inputs


def _bags(settings: AblateSettings, cohort: Cohort, progress: Progress) -> Bags:
    """The patients as the network takes them."""
    import polars as pl

    from leukopy.patients.inference.bags import describe_network, make_bags

    if settings.net.pictures is None:
        return read_bags(cohort, describe_network(settings.model), progress)
    values, failures = _pictures(cohort.cells, settings.net.pictures.preprocess, progress)
    table = pl.DataFrame(
        [(cohort.cells["cell_id"][row], reason, message) for row, (reason, message) in failures.items()],
        schema=dict.fromkeys(("cell_id", "reason", "message"), pl.String),
        orient="row",
    )
    return Bags(cohort, make_bags(cohort.patients, cohort.cells, values, failures), table)


def _pictures(
    cells: pl.DataFrame, spec: Preprocess, progress: Progress
) -> tuple[NDArray[np.uint8], dict[int, tuple[str, str]]]:
    """The prepared pictures of cells, uint8 (N, S, S, 3), and the reason and message of each that was not read."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from joblib import cpu_count

    from leukopy.imaging.decode import REASONS, read_cell

    values = np.zeros((len(cells), spec.size, spec.size, 3), np.uint8)
    failures: dict[int, tuple[str, str]] = {}

    def read(row: int) -> None:
        try:
            values[row] = read_cell(Path(cells["path"][row]), spec).pixels
        except ImageError as error:
            failures[row] = error.reason, REASONS[error.reason]

    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, _ in enumerate(pool.map(read, range(len(cells))), start=1):
            progress("reading pictures", done, len(cells))
    return values, dict(sorted(failures.items()))


def _curves(settings: AblateSettings, bags: Sequence[Bag], folder: Path, progress: Progress) -> pl.DataFrame:
    """The curves of all fits; those that ``folder`` holds are not fitted again."""
    import polars as pl

    from leukopy.patients.reports.ablation import CURVE_SCHEMA, INNER

    grid = settings.grid()
    total = len(grid) * settings.folds
    curves = list(CURVE_SCHEMA)[-1:] + [INNER] * (settings.inner_share > 0)
    rows: list[tuple[object, ...]] = []
    progress("fits", 0, total)
    for fold, patients in enumerate(_folds(settings, bags), start=1):
        for name, net in grid.items():
            path = folder / f"{name.lower().replace(' ', '-')}-fold-{fold}.json"
            if not path.exists():
                write_json(path, _fit(name, fold, net, patients, settings.seed, progress))
            fit = read_json(path)
            values = zip(*(fit[curve] for curve in curves), strict=True)
            rows += [(name, fold, epoch, *value) for epoch, value in enumerate(values, start=1)]
            progress("fits", len(rows) // settings.net.epochs, total)
    order = pl.Enum(list(grid))
    schema = CURVE_SCHEMA | dict.fromkeys(curves, pl.Float64())
    return pl.DataFrame(rows, schema=schema, orient="row").sort(pl.col("setting").cast(order), "fold", "epoch")


@dataclass(frozen=True)
class _Fold:
    """The patients of one fold; those that are not trained on with the cells that are looked at."""

    train: list[Bag]
    inner: list[Bag]
    """Training patients held back to choose the epoch."""
    watch: list[Bag]
    """Validation patients."""


def _folds(settings: AblateSettings, bags: Sequence[Bag]) -> Iterator[_Fold]:
    import numpy as np
    from sklearn.model_selection import StratifiedKFold, train_test_split

    watched = [_thinned(bag, settings.watched_cells, settings.seed) for bag in bags]
    labels = np.array([bag.label for bag in bags])
    splitter = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for rows, watch in splitter.split(labels, labels):
        train, inner = rows, []
        if settings.inner_share:
            train, inner = train_test_split(
                rows, test_size=settings.inner_share, stratify=labels[rows], random_state=settings.seed
            )
        yield _Fold([bags[row] for row in train], [watched[row] for row in inner], [watched[row] for row in watch])


def _thinned(bag: Bag, count: int | None, seed: int) -> Bag:
    """The patient with at most ``count`` cells, drawn by the patient's name and ``seed``."""
    from dataclasses import replace

    import numpy as np

    if count is None or len(bag.cells) <= count:
        return bag
    rng = np.random.default_rng([seed, *bag.patient_id.encode()])
    return replace(bag, cells=bag.cells[np.sort(rng.choice(len(bag.cells), count, replace=False))])


def _fit(
    name: str, fold: int, net: PatientNetSettings, patients: _Fold, seed: int, progress: Progress
) -> dict[str, object]:
    """One fit: its figures and its training loss after each epoch."""
    from leukopy.patients.reports.ablation import INNER
    from leukopy.patients.training.networks import fit_bags

    looked_at = [*patients.inner, *patients.watch]
    progress("epochs", 0, net.epochs)
    try:
        fit = fit_bags(net, patients.train, looked_at, seed, progress=progress)
    except TrainingError as error:
        raise TrainingError(f"{name}, fold {fold}: {error} The fits before it are kept for --resume.") from error
    labels, held_back = [bag.label for bag in looked_at], len(patients.inner)
    curves = {"balanced_accuracy": _balanced_accuracy(fit.logits[:, held_back:], labels[held_back:])}
    if held_back:
        curves[INNER] = _balanced_accuracy(fit.logits[:, :held_back], labels[:held_back])
    return {"setting": name, "fold": fold, **curves, "loss": fit.losses.tolist()}


def _balanced_accuracy(logits: NDArray[np.float64], labels: Sequence[int | None]) -> list[float]:
    """Of each epoch, from log-odds (epochs, W): the mean of sensitivity and specificity, tumoral from 0 on."""
    import numpy as np

    tumoral = np.array(labels) == 1
    found = logits >= 0
    curve: list[float] = ((found[:, tumoral].mean(axis=1) + (~found[:, ~tumoral]).mean(axis=1)) / 2).tolist()
    return curve


def _protocol(settings: AblateSettings, bags: Sequence[Bag]) -> str:
    """What was done, in a line for people."""
    net = settings.net
    if net.pictures:
        spec = net.pictures.preprocess
        cells = (
            f"{net.pictures.backbone.name} on pictures of {spec.size} px (the centred {spec.crop:.0%} of the side), "
            f"{'trained from given weights' if net.pictures.backbone.first_weights else 'trained from scratch'}"
        )
    else:
        cells = f"frozen embeddings of the cell model {settings.model!r}"
    looked = f"{settings.watched_cells or 'all'} cells of each validation patient"
    held = f"; {settings.inner_share:.0%} of the training patients held back" if settings.inner_share else ""
    return (
        f"{len(bags)} patients, {settings.folds} folds stratified by label, {net.epochs} epochs; {cells}; network "
        f"{net.net!r}, {net.patients_per_step} patient(s) of {net.cells_per_step or 'all'} cells a step; after each "
        f"epoch {looked}, tumoral from a probability of .5 on; seed {settings.seed}{held}"
    )
