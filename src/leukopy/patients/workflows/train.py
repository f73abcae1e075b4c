"""Train a patients' model: cross-validation says how well it does, then all patients make the ensemble that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.progress import Progress, silent
from leukopy.core.settings import Settings
from leukopy.patients.workflows.cohort import CohortSettings, open_labelled, read_bags
from leukopy.patients.workflows.crossval import REFERENCE, CrossvalSettings, crossval, network_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from leukopy.evaluation.intervals import Estimate
    from leukopy.patients.card import Bag, ClinicalBounds, FeatureReference, OperatingPoint, PatientCard
    from leukopy.patients.evaluation.crossval import PatientFigures
    from leukopy.patients.training import Ensemble, PatientRecipe
    from leukopy.patients.workflows.crossval import CrossvalResult

COMMAND = "patients train"


class TrainPatientsSettings(Settings):
    """All that decides what `train_patients` makes."""

    cohort: CohortSettings
    """The patients."""
    recipe: dict[str, Any]
    """A recipe (configs/patients/*.yaml)."""
    folds: int = Field(default=5, ge=2)
    """Outer folds."""
    repeats: int = Field(default=5, ge=1)
    """Repeats of the cross-validation, each with its own folds and seeds."""
    permutations: int = Field(default=5, ge=0)
    """Control runs with permuted labels: expected at chance."""
    seed: int = 0
    """Seed of folds, fits and permutations."""


@dataclass(frozen=True, eq=False)
class TrainPatientsResult:
    """The model, and how well it does."""

    bundle: Path
    card: PatientCard
    crossval: CrossvalResult


def train_patients(
    settings: TrainPatientsSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> TrainPatientsResult:
    """Cross-validate a recipe, then fit it on all patients and write its bundle.

    The card's figures are those of the nested cross-validation; the model that is kept is fitted in the same manner on
    all patients, so that no patient is left to measure it on.

    Args:
        settings: what to do.
        out: receives ``crossval/`` (as `crossval`), ``bundle/`` and ``run.json``.
        resume: go on with an interrupted run of the same settings.
        overwrite: replace the run that ``out`` holds.
        progress: told of the folds done.

    Raises:
        SettingsError: the model is one to compare with and gives no bundle.
        InputError, ManifestError, TrainingError, BundleError, OutputError: as `crossval`.
    """
    from leukopy.core.runs import begin, check_same, finish, record
    from leukopy.patients.training import PatientRecipe, fit_ensemble

    recipe = PatientRecipe.build(settings.recipe, where=str(settings.recipe.get("name")))
    cohort = open_labelled(settings.cohort)
    run = record(COMMAND, settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
        run = earlier
    shared = {name: getattr(settings, name) for name in ("cohort", "folds", "repeats", "permutations", "seed")}
    asked = CrossvalSettings(**shared, recipes=(settings.recipe,))
    measured = crossval(asked, out / "crossval", resume=resume, progress=progress)
    read = read_bags(cohort, network_of(recipe), progress)
    ensemble = fit_ensemble(recipe, read.bags, [], settings.seed, progress)
    card = _write(out / "bundle", recipe, (read.bags, ensemble, cohort.name), measured, run)
    finish(out, run, bundle="bundle")
    return TrainPatientsResult(out / "bundle", card, measured)


def _write(
    folder: Path,
    recipe: PatientRecipe,
    fitted: tuple[list[Bag], Ensemble, str],
    measured: CrossvalResult,
    run: dict[str, Any],
) -> PatientCard:
    import hashlib

    import numpy as np

    from leukopy.patients.card import PatientCard, PatientModelFile
    from leukopy.patients.inference.bags import describe_network
    from leukopy.patients.store import write_patient_bundle
    from leukopy.patients.training.estimators import rounded_range
    from leukopy.patients.training.networks import export_patient_model

    bags, ensemble, cohort = fitted
    network = network_of(recipe) or describe_network()
    members = ensemble.members()
    features = bags[0].cells.shape[1] if network_of(recipe) else _width(network)
    model = export_patient_model(members, features)
    clinical = np.array([bag.clinical for bag in bags])
    figures = measured.figures[recipe.name]
    protocol = f"nested cross-validation of {len(bags)} patients, {figures.repeats} repeats"
    card = PatientCard(
        name=recipe.name,
        title=recipe.title,
        description=recipe.description,
        limits=recipe.limits,
        licence=recipe.licence,
        network=network,
        model=PatientModelFile(
            architecture=f"{recipe.model.kind}, fusion: {recipe.fusion}; {ensemble.candidate}".rstrip("; "),
            members=len(members),
            features=features,
            sha256=hashlib.sha256(model).hexdigest(),
        ),
        operating_points=_points(ensemble, figures, protocol),
        trained_on=(_use(cohort, sum(len(bag.cells) for bag in bags), len(bags)),),
        prevalence=float(np.mean([bag.label for bag in bags])),
        ages=rounded_range(clinical[:, 0], step=5),
        counts=rounded_range(clinical[:, 1], step=1),
        clinical=_clinical_bounds(members),
        features=_references(recipe, bags),
        metrics=_metrics(measured, recipe.name, protocol),
        recipe=recipe.model_dump(mode="json"),
        provenance=run["provenance"],
    )
    write_patient_bundle(folder, card, model)
    return card


def _clinical_bounds(members: Sequence[nn.Module]) -> ClinicalBounds | None:
    """Bounds of the mean of the members, each of which has its own."""
    import numpy as np

    from leukopy.patients.card import ClinicalBounds
    from leukopy.patients.models.statistics import NaiveBayes

    parts = [part for member in members for part in member.modules() if isinstance(part, NaiveBayes)]
    if not parts:
        return None
    held = np.array([part.held.double().numpy() for part in parts])
    floor, ceiling = np.mean([part.bounds() for part in parts], axis=0)
    (youngest, fewest), (oldest, most) = held[:, 0].min(axis=0), held[:, 1].max(axis=0)
    return ClinicalBounds(
        ages=(round(youngest, 1), round(oldest, 1)),
        counts=(round(np.exp(fewest), 2), round(np.exp(most), 2)),
        log_odds=(round(floor, 3), round(ceiling, 3)),
    )


def _points(ensemble: Ensemble, figures: PatientFigures, protocol: str) -> tuple[OperatingPoint, ...]:
    from leukopy.patients.card import OperatingPoint

    return (
        OperatingPoint(
            name="balanced",
            title="balanced: as many tumoral as reactive patients judged rightly",
            threshold=ensemble.threshold,
            sensitivity=_metric("sensitivity", figures.sensitivity, protocol),
            specificity=_metric("specificity", figures.specificity, protocol),
        ),
        OperatingPoint(
            name="triage",
            title="triage: chosen for a sensitivity of .95, so that few tumoral patients are missed",
            threshold=ensemble.triage_threshold,
            sensitivity=_metric("sensitivity", figures.triage.sensitivity, protocol),
            specificity=_metric("specificity", figures.triage.specificity, protocol),
        ),
    )


def _metrics(measured: CrossvalResult, name: str, protocol: str) -> tuple[Any, ...]:
    figures = measured.figures[name]
    found = {
        "balanced accuracy": figures.balanced_accuracy,
        "AUC": figures.auc,
        "Brier score": figures.brier,
        "balanced accuracy, age and lymphocyte count alone": measured.figures[REFERENCE].balanced_accuracy,
        "AUC, age and lymphocyte count alone": measured.figures[REFERENCE].auc,
    }
    if name in measured.paired:
        found["gain in balanced accuracy over age and count"] = measured.paired[name].balanced_accuracy
        found["gain in AUC over age and count"] = measured.paired[name].auc
    return tuple(_metric(title, estimate, protocol) for title, estimate in found.items())


def _metric(name: str, estimate: Estimate, protocol: str) -> Any:
    from leukopy.bundle import Metric

    value = float("nan") if estimate.value is None else round(estimate.value, 4)
    low, high = (None if end is None else round(end, 4) for end in (estimate.low, estimate.high))
    return Metric(name=name, value=value, low=low, high=high, data=protocol, command="leukopy patients train")


def _use(cohort: str, images: int, patients: int) -> Any:
    from leukopy.bundle.card import DatasetUse
    from leukopy.patients.data import COHORTS

    known = COHORTS[cohort] if cohort in set(COHORTS) else None
    return DatasetUse(
        name=cohort,
        licence=known.licence if known else "the trainer's own",
        citation=known.citation if known else "",
        images=images,
        note=f"{patients} patients; numbers fitted on them alone are in the model, no image of theirs.",
    )


def _references(recipe: PatientRecipe, bags: list[Bag]) -> tuple[FeatureReference, ...]:
    """Features that have a meaning for people, with the means of both kinds of patients."""
    import numpy as np

    from leukopy.bundle import open_bundle
    from leukopy.patients.card import FeatureReference
    from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES
    from leukopy.patients.training.estimators import statistics_table

    attributes = open_bundle(recipe.cells.model).card.attributes
    if recipe.model.kind == "clinical" or "embedding" in recipe.cells.outputs or attributes is None:
        return ()
    names = [
        name
        for output in recipe.cells.outputs
        for name in (
            [f"{head.name.replace('_', ' ')}: {value}" for head in attributes.heads for value in head.values]
            if output == "attributes"
            else [f"class {code}" for code in open_bundle(recipe.cells.model).card.classes]
        )
    ] + list(MORPHOLOGY_FEATURES if recipe.cells.measures else ())
    means = {}
    for label in (0, 1):
        table = statistics_table([bag for bag in bags if bag.label == label], ("mean",))
        means[label] = np.ma.masked_invalid(table).mean(axis=0)
    if any(np.ma.is_masked(found) for found in means.values()):
        return ()  # a feature that no patient has
    return tuple(
        FeatureReference(name=name, reactive=float(means[0][column]), tumoral=float(means[1][column]))
        for column, name in enumerate(names)
    )


def _width(network: Any) -> int:
    from leukopy.inference.engine import Engine
    from leukopy.patients.inference.bags import open_network

    engine = Engine(open_network(network).network, threads=1, outputs=network.outputs)
    return sum(engine.shape(name)[0] for name in network.outputs)
