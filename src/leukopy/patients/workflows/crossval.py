"""Nested, repeated cross-validation of models of patients, against age and lymphocyte count alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings, apply_changes, read_mapping
from leukopy.patients.workflows.cohort import CohortSettings, open_labelled, read_bags

if TYPE_CHECKING:
    import polars as pl

    from leukopy.inference.workers import Pool
    from leukopy.patients.card import Bag
    from leukopy.patients.evaluation.crossval import PairedDifference, PatientFigures
    from leukopy.patients.training import PatientRecipe

COMMAND = "patients crossval"
REFERENCE = "clinical_naive_bayes"


class CrossvalSettings(Settings):
    """All that decides what `crossval` finds."""

    cohort: CohortSettings
    """The patients."""
    recipes: tuple[dict[str, Any], ...] = Field(min_length=1)
    """Recipes (configs/patients/*.yaml). The last one is also run on permuted labels."""
    folds: int = Field(default=5, ge=2)
    """Outer folds."""
    repeats: int = Field(default=5, ge=1)
    """Repeats of the cross-validation, each with its own folds and seeds."""
    permutations: int = Field(default=5, ge=0)
    """Control runs with permuted labels: expected at chance."""
    seed: int = 0
    """Seed of folds, fits and permutations."""

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [recipe.get("name") for recipe in self.recipes]
        if len(set(names)) < len(names):
            raise ValueError("recipes need different names")
        return self


@dataclass(frozen=True, eq=False)
class CrossvalResult:
    """What was found, and where it lies."""

    figures: dict[str, PatientFigures]
    paired: dict[str, PairedDifference]
    failures: pl.DataFrame
    report: Path


@dataclass(frozen=True, eq=False)
class _Task:
    """One outer fold."""

    recipe: PatientRecipe
    bags: list[Bag]
    repeat: int
    fold: int
    train: list[int]
    test: list[int]
    seed: int
    target: Path
    """Its rows, once it is done: so that an interrupted run goes on."""


def read_recipe(path: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A recipe of a file with some settings changed, dotted names allowed; checked.

    Raises:
        InputError, SettingsError: the file cannot be read or holds no such recipe.
        MissingExtraError: the ``train`` extra is not installed.
    """
    values = apply_changes(read_mapping(path), changes or {})
    return _recipe(values, where=str(path)).model_dump(mode="json")


def crossval(
    settings: CrossvalSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    pool: Pool | None = None,
    progress: Progress = silent,
) -> CrossvalResult:
    """Cross-validate the recipes of ``settings``, and age and lymphocyte count alone.

    Outer folds are stratified by label, and a patient is in one of them with all its cells. Each is judged once, by a
    model whose settings and thresholds inner folds of the other patients chose.

    Args:
        settings: what to do.
        out: receives ``oof.parquet``, ``report.html``, ``report.json``, ``summary.md``, ``failures.csv``, ``run.json``,
            and in ``folds/`` what is done already.
        resume: go on with an interrupted run of the same settings.
        overwrite: replace the run that ``out`` holds.
        pool: fits the outer folds; by default one process per core.
        progress: told of the outer folds done.

    Raises:
        InputError, ManifestError: the cohort cannot be read, or lacks a label.
        TrainingError: too few patients for the folds.
        SettingsError, BundleError, OutputError: as everywhere.
    """
    import polars as pl

    from leukopy.core.files import atomic_path
    from leukopy.core.runs import begin, check_same, finish, record
    from leukopy.patients.evaluation.crossval import evaluate_patients, paired

    recipes = [_recipe(values, where=str(values.get("name"))) for values in settings.recipes]
    if all(recipe.name != REFERENCE for recipe in recipes):
        recipes = [_reference(), *recipes]
    cohort = open_labelled(settings.cohort)
    run = record(COMMAND, settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
        run = earlier
    bags, failures = _bags(recipes, cohort, progress)
    tables = _run(_all_tasks(settings, recipes, bags, out / "folds"), pool, progress)
    figures = {name: evaluate_patients(table) for name, table in tables.items() if not name.startswith("permuted")}
    gains = {name: paired(tables[name], tables[REFERENCE]) for name in figures if name != REFERENCE}
    with atomic_path(out / "oof.parquet") as temporary:
        pl.concat(tables.values()).write_parquet(temporary)
    with atomic_path(out / "failures.csv") as temporary:
        failures.write_csv(temporary)
    _report(settings, (recipes, tables, figures, gains), cohort.ages, out, run)
    finish(out, run)
    return CrossvalResult(figures, gains, failures, out / "report.html")


def network_of(recipe: PatientRecipe) -> Any:
    """What makes the features of its cells; None where it reads none."""
    from leukopy.patients.inference.bags import describe_network

    if recipe.model.kind == "clinical":
        return None
    return describe_network(recipe.cells.model, recipe.cells.outputs, measures=recipe.cells.measures)


def _recipe(values: dict[str, Any], where: str) -> PatientRecipe:
    from leukopy.core.errors import MissingExtraError

    try:
        from leukopy.patients.training import PatientRecipe
    except ImportError as error:
        raise MissingExtraError("training a patients' model", "train") from error
    return PatientRecipe.build(values, where=where)


def _reference() -> PatientRecipe:
    return _recipe(
        {
            "name": REFERENCE,
            "title": "Age and lymphocyte count: naive Bayes",
            "description": "Gaussian naive Bayes on age and the logarithm of the count.",
            "model": {"kind": "clinical", "classifier": "naive_bayes"},
        },
        where=REFERENCE,
    )


def _bags(
    recipes: Sequence[PatientRecipe], cohort: Any, progress: Progress
) -> tuple[dict[str, list[Bag]], pl.DataFrame]:
    """The bags of each recipe, all of the same patients, and the images that could not be read."""
    import polars as pl

    read = {recipe.name: read_bags(cohort, network_of(recipe), progress) for recipe in recipes}
    failures = pl.concat([found.failures for found in read.values()]).unique("cell_id", maintain_order=True)
    judged = set.intersection(*({bag.patient_id for bag in found.bags} for found in read.values()))
    return {name: [bag for bag in found.bags if bag.patient_id in judged] for name, found in read.items()}, failures


def _all_tasks(
    settings: CrossvalSettings, recipes: Sequence[PatientRecipe], bags: dict[str, list[Bag]], folder: Path
) -> list[_Task]:
    """The outer folds of each model, and of the last recipe on permuted labels."""
    tasks = [task for recipe in recipes for task in _tasks(settings, recipe, bags[recipe.name], folder / recipe.name)]
    for number in range(settings.permutations):
        name = f"permuted_{number + 1}"
        shuffled = _permuted(bags[recipes[-1].name], settings.seed + number)
        tasks += _tasks(settings.model_copy(update={"repeats": 1}), recipes[-1], shuffled, folder / name)
    return tasks


def _run(tasks: Sequence[_Task], pool: Pool | None, progress: Progress) -> dict[str, pl.DataFrame]:
    """The out-of-fold rows of each model."""
    import polars as pl

    from leukopy.core.files import atomic_path
    from leukopy.inference.workers import in_processes

    waiting = [task for task in tasks if not task.target.exists()]
    progress("cross-validating", len(tasks) - len(waiting), len(tasks))
    judged = (pool or in_processes)(_judge, ((task,) for task in waiting), len(waiting))
    for done, (target, table) in enumerate(judged, start=len(tasks) - len(waiting) + 1):
        with atomic_path(target) as temporary:
            table.write_parquet(temporary)
        progress("cross-validating", done, len(tasks))
    folders = dict.fromkeys(task.target.parent for task in tasks)
    return {
        parent.name: pl.concat([pl.read_parquet(task.target) for task in tasks if task.target.parent == parent])
        .with_columns(model=pl.lit(parent.name))
        for parent in folders
    }  # fmt: skip


def _tasks(settings: CrossvalSettings, recipe: PatientRecipe, bags: list[Bag], folder: Path) -> Iterator[_Task]:
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    labels = np.array([bag.label for bag in bags])
    if min(np.sum(labels == 0), np.sum(labels == 1)) < settings.folds:
        raise TrainingError(
            f"{settings.folds} folds need as many patients of each label ({np.sum(labels == 0)} reactive, "
            f"{np.sum(labels == 1)} tumoral). Set --folds lower."
        )
    for repeat in range(settings.repeats):
        seed = settings.seed + repeat
        folds = StratifiedKFold(settings.folds, shuffle=True, random_state=seed).split(labels, labels)
        for fold, (train, test) in enumerate(folds):
            target = folder / f"repeat{repeat}-fold{fold}.parquet"
            yield _Task(recipe, bags, repeat, fold, train.tolist(), test.tolist(), seed, target)


def _permuted(bags: list[Bag], seed: int) -> list[Bag]:
    from dataclasses import replace

    import numpy as np

    labels = np.random.default_rng(seed).permutation(np.array([bag.label for bag in bags], dtype=np.int64))
    return [replace(bag, label=int(label)) for bag, label in zip(bags, labels, strict=True)]


def _judge(task: _Task) -> tuple[Path, pl.DataFrame]:
    """Fit on the training patients of an outer fold, and judge its others: the file of their rows, and the rows."""
    import polars as pl
    from scipy.special import expit

    from leukopy.patients.evaluation.crossval import OOF_SCHEMA
    from leukopy.patients.training import fit_ensemble

    test = [task.bags[index] for index in task.test]
    found = fit_ensemble(task.recipe, [task.bags[index] for index in task.train], test, task.seed)
    table = pl.DataFrame(
        {
            "model": [task.recipe.name] * len(test),
            "repeat": [task.repeat] * len(test),
            "fold": [task.fold] * len(test),
            "patient_id": [bag.patient_id for bag in test],
            "label": [bag.label for bag in test],
            "logit": found.logits,
            "probability": expit(found.logits),
            "threshold": [found.threshold] * len(test),
            "triage_threshold": [found.triage_threshold] * len(test),
            "candidate": [found.candidate or None] * len(test),
        },
        schema=OOF_SCHEMA,
    )
    return task.target, table


def _report(settings: CrossvalSettings, found: Any, ages: str, out: Path, run: dict[str, Any]) -> None:
    from leukopy.patients.evaluation.crossval import evaluate_patients
    from leukopy.patients.reports.crossval import CrossvalContent, ModelResult, write_crossval

    recipes, tables, figures, gains = found
    models = {
        recipe.name: ModelResult(
            recipe.title,
            figures[recipe.name],
            gains.get(recipe.name),
            tables[recipe.name],
            _chosen(tables[recipe.name]),
        )
        for recipe in recipes
    }
    inner = ", ".join(sorted({str(recipe.inner_folds) for recipe in recipes}))
    protocol = [
        f"{settings.folds} outer folds, stratified by label, {settings.repeats} times with other folds and seeds; a "
        "patient is in one fold with all its cells, and is judged once in each repeat.",
        f"Within the training patients of each outer fold, {inner} inner folds choose the settings (the least log "
        "loss), the epoch and both thresholds; the models of the inner folds, averaged, judge the outer fold.",
        "Thresholds are chosen for balanced accuracy, and for a sensitivity of .95 (triage).",
    ]
    content = CrossvalContent(
        title=settings.cohort.path.name,
        models=models,
        controls={name: evaluate_patients(table) for name, table in tables.items() if name not in models},
        protocol=protocol,
        notes=[ages] if ages else [],
        provenance=run["provenance"],
    )
    write_crossval(out, content)


def _chosen(table: pl.DataFrame) -> dict[str, int]:
    folds = table.select("repeat", "fold", "candidate").unique(maintain_order=True)
    return dict(Counter(name for name in folds["candidate"] if name).most_common())
