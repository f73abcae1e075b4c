"""Make a complete model: a chain of trainings, the fits of its further outputs, its index; step by step, resumable."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from leukopy.core.errors import SettingsError
from leukopy.core.files import output_error, read_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import FINISHED, RUN_FILE, begin, finish, record
from leukopy.core.settings import Settings, apply_changes, read_mapping, read_settings
from leukopy.workflows.fit_attributes import AttributeSettings, fit_attributes
from leukopy.workflows.fit_count_error import FitCountErrorSettings, fit_count_error
from leukopy.workflows.fit_ood import OpenSetSettings, fit_open_set
from leukopy.workflows.fit_outside import FitOutsideSettings, fit_outside
from leukopy.workflows.fit_slide_check import FitSlideCheckSettings, fit_slide_check
from leukopy.workflows.index import IndexSettings, index_neighbours
from leukopy.workflows.train import build_recipe, train

if TYPE_CHECKING:
    from leukopy.bundle import Card
    from leukopy.training.settings import TrainSettings

BUNDLE = "bundle"
ATTRIBUTES, OOD, OUTSIDE, COUNT_ERROR, SLIDE_CHECK = "attributes", "ood", "outside", "count_error", "slide_check"
FITS = (ATTRIBUTES, OOD, OUTSIDE, COUNT_ERROR, SLIDE_CHECK)


class BuildSettings(Settings):
    """The steps that make a model, in their order. A step that is null is left out."""

    trainings: tuple[dict[str, Any], ...] = Field(min_length=1)
    """Recipes of networks; each training starts from the network of the one before."""
    attributes: dict[str, Any] | None = None
    """Settings of `leukopy model fit-attributes`, without the model."""
    ood: dict[str, Any] | None = None
    """Settings of `leukopy model fit-ood`, without the model."""
    outside: dict[str, Any] | None = None
    """Settings of `leukopy model fit-outside`, without the model."""
    count_error: dict[str, Any] | None = None
    """Settings of `leukopy model fit-count-error`, without the model; needs ``outside``."""
    slide_check: dict[str, Any] | None = None
    """Settings of `leukopy model fit-slide-check`, without the model."""
    fold_changes: dict[str, Any] = Field(default_factory=dict)
    """Where the last recipe learns classes outside, it is also trained without each part of their patients, to measure
    them: changes of these trainings alone, dotted name -> value."""
    index: dict[str, Any] | None = None
    """Settings of `leukopy model index`, without the model; ``root`` is absolute or below the data folder."""

    @field_validator("trainings")
    @classmethod
    def _own_folders(cls, trainings: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        names = [str(recipe.get("name")) for recipe in trainings]
        if len({*names, BUNDLE, *FITS}) < len(names) + 1 + len(FITS):
            raise ValueError("each recipe needs a name of its own, which names the folder of its step")
        return trainings


@dataclass(frozen=True)
class Step:
    """A step of a build."""

    name: str
    folder: Path
    kept: bool
    """True where the step was finished before."""


@dataclass(frozen=True)
class BuildResult:
    """The model, and the outcome of each step."""

    bundle: Path
    card: Card
    steps: tuple[Step, ...]


def read_build(path: Path) -> BuildSettings:
    """Read a build file; its ``trainings`` are mappings, or paths of recipes beside the file.

    Raises:
        InputError: a file cannot be read.
        SettingsError: a name or value is wrong.
    """
    values = dict(read_settings(path))
    recipes = values.get("trainings")
    if isinstance(recipes, list):
        values["trainings"] = [read_mapping(path.parent / one) if isinstance(one, str) else one for one in recipes]
    return BuildSettings.build(values, where=str(path))


def build(
    settings: BuildSettings,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    show_progress: bool = False,
    told: Callable[[Step], None] | None = None,
) -> BuildResult:
    """Do every step that is not finished yet, each in its own folder of ``out``; then write ``out/bundle``.

    The same command resumes an interrupted build. A fit is done again where its settings or its network have changed.

    Args:
        settings: the steps.
        out: receives a folder for each training, ``attributes``, ``ood``, ``outside``,
            ``count_error``, ``slide_check``, and the complete ``bundle``.
        overwrite: overwrite the results in ``out``.
        progress: reports the work of each step.
        show_progress: draw the bar of the epochs.
        told: called with each step when it is finished.

    Raises:
        MissingExtraError: torch is not installed.
        SettingsError: a recipe or the settings of a fit are wrong, or ``out`` holds a training of another recipe.
        OutputError: ``out`` holds something else, or cannot be written.
        TrainingError, InputError, ManifestError, BundleError: as the steps.
    """
    from leukopy.bundle import open_bundle

    recipes = [build_recipe(recipe, where=f"recipe {recipe.get('name')!r}") for recipe in settings.trainings]
    fits = list(_fits(settings))  # all errors are raised before hours of training
    run = record("model build", settings)
    begin(out, run, resume=(out / RUN_FILE).exists() and not overwrite, overwrite=overwrite)
    steps: list[Step] = []

    def done(name: str, folder: Path, *, kept: bool) -> None:
        steps.append(Step(name, folder, kept))
        if told:
            told(steps[-1])

    before: Path | None = None
    for recipe in recipes:
        folder = out / recipe.name
        kept = _train(_starting_from(recipe, before), folder, progress, show_progress)
        done(f"train {recipe.name}", folder, kept=kept)
        before = folder
    model = out / recipes[-1].name / BUNDLE
    folds = []
    for recipe in _fold_recipes(settings, recipes[-1], out):
        kept = _train(_starting_from(recipe, _before(out, recipes)), out / recipe.name, progress, show_progress)
        done(f"train {recipe.name}", out / recipe.name, kept=kept)
        folds.append(str(out / recipe.name / BUNDLE))
    for name, fit in fits:
        kept = fit(model, out / name, progress, {"fold_models": folds} if name in (OUTSIDE, COUNT_ERROR) else {})
        done(f"fit {name}", out / name, kept=kept)
        model = out / name / BUNDLE
    kept = _complete(settings, model, out / BUNDLE, progress)
    done("index", out / BUNDLE, kept=kept)
    finish(out, run)
    return BuildResult(out / BUNDLE, open_bundle(out / BUNDLE).card, tuple(steps))


def _finished(folder: Path) -> dict[str, Any] | None:
    """The record of a finished run; None where there is none."""
    if not (folder / RUN_FILE).exists():
        return None
    run: dict[str, Any] = read_json(folder / RUN_FILE)
    return run if run["status"] == FINISHED else None


def _starting_from(recipe: TrainSettings, before: Path | None) -> TrainSettings:
    """The recipe with the network of the training before as its start."""
    if before is None:
        return recipe
    start = {"backbone.pretrained": False, "backbone.weights": None, "backbone.run": str(before.absolute())}
    return build_recipe(apply_changes(recipe.model_dump(mode="json"), start), where=f"recipe {recipe.name!r}")


def _train(recipe: TrainSettings, folder: Path, progress: Progress, show_progress: bool) -> bool:
    """Train unless that is done; returns whether it was.

    Raises:
        SettingsError: the folder holds a training of another recipe, or from another network.
    """
    from leukopy.bundle import open_bundle

    if (run := _finished(folder)) is None:
        train(recipe, folder, resume=folder.exists(), progress=progress, show_progress=show_progress)
        return False
    there = build_recipe(run["settings"], where=str(folder / RUN_FILE))
    backbone = there.backbone.model_copy(update={"run": recipe.backbone.run})  # the folder may have been moved
    same_start = open_bundle(folder / BUNDLE).card.model.pretrained == recipe.backbone.first_weights
    if not same_start or there.model_copy(update={"backbone": backbone}) != recipe:
        raise SettingsError(
            f"{folder}: was trained by another recipe, or from another network. Remove it, or choose another --out."
        )
    return True


def _before(out: Path, recipes: list[TrainSettings]) -> Path | None:
    """The training that the last one starts from."""
    return out / recipes[-2].name if len(recipes) > 1 else None


def _fold_recipes(settings: BuildSettings, recipe: TrainSettings, out: Path) -> list[TrainSettings]:
    """The last recipe without each part of the patients of classes outside; none where it does not learn these."""
    if not recipe.outside or settings.outside is None:
        return []
    from leukopy.training.outside_head import OutsideSettings
    from leukopy.workflows.fold_trainings import recipes_without_parts

    how = OutsideSettings.build(settings.outside.get("head", {}), where="head")
    return list(recipes_without_parts(recipe, how, data_folder(), out, settings.fold_changes))


_Fit = Callable[[Path, Path, Progress, dict[str, Any]], bool]


def _fits(settings: BuildSettings) -> Iterator[tuple[str, _Fit]]:
    """Name and function of each fit: it is given a bundle, a folder and further settings, and says whether it was done
    before."""
    if settings.attributes is not None:
        yield ATTRIBUTES, _fit(AttributeSettings, settings.attributes, fit_attributes)
    if settings.ood is not None:
        yield OOD, _fit(OpenSetSettings, settings.ood, fit_open_set)
    if settings.outside is not None:
        yield OUTSIDE, _fit(FitOutsideSettings, settings.outside, fit_outside)
    if settings.count_error is not None:
        yield COUNT_ERROR, _fit(FitCountErrorSettings, settings.count_error, fit_count_error)
    if settings.slide_check is not None:
        yield SLIDE_CHECK, _fit(FitSlideCheckSettings, settings.slide_check, fit_slide_check)


def _fit(kind: type[Settings], values: dict[str, Any], work: Callable[..., Any]) -> _Fit:
    kind.build(values, where=kind.__name__)

    def fit(model: Path, folder: Path, progress: Progress, further: dict[str, Any]) -> bool:
        from leukopy.bundle import open_bundle

        here = {"model": str(model), **further}  # the folders may have been moved
        wanted = kind.build({**values, **here}, where=kind.__name__)
        if earlier := _finished(folder):
            same = kind.build({**earlier["settings"], **here}, where=str(folder / RUN_FILE)) == wanted
            if same and earlier["model"]["sha256"] == open_bundle(model).card.model.sha256:
                return True
        work(wanted, folder, overwrite=True, progress=progress)
        return False

    return fit


def _complete(settings: BuildSettings, model: Path, bundle: Path, progress: Progress) -> bool:
    """Copy the last fit's bundle and index it, unless that is done; returns whether it was."""
    if bundle.exists() and _card_without_figures(bundle) == _card_without_figures(model):
        return True
    temporary = bundle.with_name(f".{bundle.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(model, temporary)
        if settings.index is not None:
            root = settings.index.get("root")
            placed = settings.index | ({"root": data_folder() / root} if root else {})
            found = IndexSettings.build({**placed, "model": str(temporary)}, where="index")
            index_neighbours(found, progress=progress)
        shutil.rmtree(bundle, ignore_errors=True)
        temporary.rename(bundle)
    except OSError as error:
        raise output_error(bundle, error) from error
    return False


def _card_without_figures(bundle: Path) -> Card:
    from leukopy.bundle import open_bundle

    return open_bundle(bundle).card.model_copy(update={"metrics": ()})
