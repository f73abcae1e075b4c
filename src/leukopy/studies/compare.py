"""Train and measure several recipes on the same images, in one table."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leukopy.core.errors import LeukopyError, OutputError, SettingsError
from leukopy.core.files import read_json, write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.provenance import provenance
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leukopy.inference.workers import Pool
    from leukopy.reports.comparison import ComparisonRow
    from leukopy.training.settings import TrainSettings
    from leukopy.training.shallow_settings import ShallowSettings
    from leukopy.workflows.evaluate import EvaluateSettings

    ClassifierRecipe = TrainSettings | ShallowSettings

SPEED_FILE = "speed.json"
IMAGES_FILE = "images.csv"
TIMED = 64
"""Images that a network's speed is measured on, from files to rows."""


class CompareSettings(Settings):
    """Settings of a comparison: recipes, images, speed test."""

    recipes: tuple[Path, ...] = Field(min_length=1)
    """Recipes (configs/*.yaml) of networks and shallow models."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Dotted names of settings -> other values, for every recipe that has the setting."""
    split: Literal["test", "val"] = "test"
    """Split of the first source to measure on. All recipes must have the same first source."""

    @property
    def command(self) -> str:
        """The command that does this again, without its output folder."""
        changes = [part for name, value in self.changes.items() for part in ("--set", f"{name}={value}")]
        return shlex.join(["leukopy", "study", "compare", *map(str, self.recipes), *changes, "--split", self.split])


@dataclass(frozen=True)
class CompareResult:
    """The table, and where its files are."""

    rows: tuple[ComparisonRow, ...]
    out: Path

    @property
    def failures(self) -> int:
        """Models without figures."""
        return sum(bool(row.failure) for row in self.rows)


def compare(
    settings: CompareSettings,
    out: Path,
    *,
    overwrite: bool = False,
    pool: Pool | None = None,
    progress: Progress = silent,
    show_progress: bool = False,
) -> CompareResult:
    """Train each recipe in ``out/<its name>``, measure it, and set all in one table.

    Models trained with the same settings, and their evaluations, are reused; an interrupted training resumes. A model
    that fails is a row with its reason; the others continue.

    Args:
        settings: what to compare.
        out: has, or receives, a folder for each model, as `leukopy train` writes it; receives ``compare.md``,
            ``compare.csv`` and ``compare.json``, written anew after each model.
        overwrite: train anew where a model was trained with other settings.
        pool: trains the models, on machines that all see ``out`` and the data under the same paths; by default this
            process does, one after the other.
        progress: reports decoding, features and classification.
        show_progress: draw the epochs' bar.

    Raises:
        SettingsError: a recipe is wrong, two have one name, or their first sources or their splits differ or are empty.
        InputError, TrainingError: a folder, a class or a label map is missing.
        OutputError: the table cannot be written.
    """
    from leukopy.reports.comparison import write_comparison

    recipes, out = _read(settings), out.absolute()
    data = _images(recipes, settings.split, out)
    images = f"{recipes[0].sources[0].dataset}, {settings.split}"
    begun = {"command": settings.command, **provenance()}
    calls = [(recipe, data, out / recipe.name, overwrite) for recipe in recipes]
    arrived = (
        (_measured(*call, progress, show_progress) for call in calls)
        if pool is None
        else pool(_measured, calls, len(calls))
    )
    rows: dict[str, ComparisonRow] = {}
    for row in arrived:
        rows[row.name] = row
        if pool is not None:
            progress("training and measuring", len(rows), len(calls))
        write_comparison(out, [rows[recipe.name] for recipe in recipes if recipe.name in rows], images, begun)
    return CompareResult(tuple(rows[recipe.name] for recipe in recipes), out)


def _read(settings: CompareSettings) -> list[ClassifierRecipe]:
    from leukopy.training.settings import TrainSettings
    from leukopy.training.shallow_settings import ShallowSettings
    from leukopy.workflows.recipes import read

    recipes: list[ClassifierRecipe] = []
    for path in settings.recipes:
        recipe = read(path, settings.changes, only_known=True)
        if not isinstance(recipe, TrainSettings | ShallowSettings):
            raise SettingsError(f"{path}: trains a detector; classifiers alone are compared.")
        recipes.append(recipe)
    for name in settings.changes:
        if not any(name.partition(".")[0] in type(recipe).model_fields for recipe in recipes):
            raise SettingsError(f"--set {name}: none of the recipes has such a setting.")
    names = [recipe.name for recipe in recipes]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"two recipes are named {', '.join(sorted(twice))}; give each a name of its own.")
    firsts = {(recipe.sources[0].dataset, recipe.sources[0].root): recipe.name for recipe in recipes}
    if len(firsts) > 1:
        shown = "; ".join(f"{name}: {dataset} {root}" for (dataset, root), name in firsts.items())
        raise SettingsError(f"models are compared on the same images, and the first sources differ ({shown}).")
    return recipes


def _images(recipes: Sequence[ClassifierRecipe], split: Literal["test", "val"], out: Path) -> EvaluateSettings:
    """The images that all models are measured on: their split, checked before any training.

    Where the first source tells no such split, the recipes' own is written to ``out/images.csv``.
    """
    import polars as pl

    from leukopy.datasets import open_dataset, write_manifest
    from leukopy.training.sources import label_map_of, with_test
    from leukopy.workflows.evaluate import EvaluateSettings

    source, data = recipes[0].sources[0], data_folder()
    root, labels = data / source.root, label_map_of(source, data)
    listed = open_dataset(source.dataset, root, labels=labels)
    chosen: list[set[str]] = []
    for recipe in recipes:
        own = with_test(recipe, data).filter(source=source.dataset, split=split)
        chosen.append(set(own["cell_id"]))
        if own.is_empty():
            raise SettingsError(
                f"{recipe.name}: no image of {source.dataset} is in split {split!r}. Choose another --split, set "
                f"sources.0.{'test_share' if split == 'test' else 'validation_share'}, or give a manifest with a split."
            )
        if chosen[-1] != chosen[0]:
            raise SettingsError(
                f"{recipe.name} and {recipes[0].name} do not split {source.dataset} alike: models are compared on the "
                "same images. Give both the same seed, shares and classes, or a manifest with a split."
            )
    if set(listed.filter(split=split)["cell_id"]) >= chosen[0]:
        return EvaluateSettings(data=source.dataset, root=root, split=split, label_map=labels)
    path = out / IMAGES_FILE
    write_manifest(path, listed.filter(pl.col("cell_id").is_in(chosen[0])).with_columns(split=pl.lit(split)))
    return EvaluateSettings(data=str(path), split=split, label_map=labels)


def _measured(
    recipe: ClassifierRecipe,
    data: EvaluateSettings,
    folder: Path,
    overwrite: bool,
    progress: Progress = silent,
    show_progress: bool = False,
) -> ComparisonRow:
    """Train and measure, or read the existing results; a failure is a row with its reason."""
    from leukopy.reports.comparison import ComparisonRow
    from leukopy.training.settings import TrainSettings

    try:
        state = _state(folder, recipe, overwrite)
        if isinstance(recipe, TrainSettings):
            return _network(recipe, data, folder, state, (progress, show_progress))
        return _shallow(recipe, data.split, folder, state, progress)
    except (LeukopyError, RuntimeError, MemoryError) as error:  # RuntimeError: torch, out of memory among others
        return ComparisonRow(recipe.name, failure=" ".join(str(error).split()) or type(error).__name__)


def _state(folder: Path, recipe: ClassifierRecipe, overwrite: bool) -> Literal["absent", "begun", "finished", "other"]:
    """State of this recipe's run in ``folder``."""
    if not (folder / RUN_FILE).exists():
        return "absent"
    run = read_json(folder / RUN_FILE)
    try:
        same = type(recipe).build(run["settings"]) == recipe
    except (SettingsError, KeyError, TypeError):
        same = False
    if not same:
        if overwrite:
            return "other"
        raise OutputError(
            f"{folder}: was trained with other settings. Add --overwrite to train it anew, or change --out."
        )
    return "finished" if run.get("status") == FINISHED else "begun"


def _network(
    recipe: TrainSettings, data: EvaluateSettings, folder: Path, state: str, shown: tuple[Progress, bool]
) -> ComparisonRow:
    from leukopy.bundle import open_bundle
    from leukopy.models.flops import flops
    from leukopy.workflows.train import train

    progress, show_progress = shown
    if state != "finished":
        train(
            recipe,
            folder,
            resume=state == "begun",
            overwrite=state == "other",
            progress=progress,
            show_progress=show_progress,
        )
    bundle = open_bundle(folder / "bundle")
    speed = _evaluated(data, folder, bundle.card.model.sha256, progress)
    return _row(
        recipe.name,
        read_json(folder / data.split / "report.json"),
        parameters=bundle.card.model.parameters,
        flops=flops(recipe.backbone.name, recipe.preprocess),
        images_per_second=speed,
        minutes=read_json(folder / RUN_FILE).get("minutes"),
    )


def _evaluated(data: EvaluateSettings, folder: Path, sha256: str, progress: Progress) -> float:
    """Measure the bundle on the split, unless it is done; images per second."""
    from leukopy.workflows.evaluate import evaluate

    model, out = folder / "bundle", folder / data.split
    done = out / SPEED_FILE
    if done.exists():
        earlier = read_json(done)
        if earlier["sha256"] == sha256:
            return float(earlier["images_per_second"])
    evaluate(data.model_copy(update={"model": str(model)}), out, overwrite=True, progress=progress)
    speed = _images_per_second(model, out)
    write_json(done, {"images_per_second": speed, "sha256": sha256})
    return speed


def _images_per_second(model: Path, evaluation: Path) -> float:
    """Measure images per second from files to rows, on some of the evaluated images."""
    import polars as pl

    from leukopy.slides.classifier import Classifier

    paths = pl.read_parquet(evaluation / "predictions.parquet")["path"][:TIMED].to_list()
    classifier = Classifier.open(model)
    classifier.predict(paths[:1])  # the first run prepares the network
    started = time.perf_counter()
    classifier.predict(paths)
    return round(len(paths) / (time.perf_counter() - started), 1)


def _shallow(recipe: ShallowSettings, split: str, folder: Path, state: str, progress: Progress) -> ComparisonRow:
    from leukopy.workflows.shallow import train_shallow

    if state != "finished":
        train_shallow(recipe, folder, overwrite=state != "absent", progress=progress)
    report = folder / split / "report.json"
    if not report.exists():
        raise OutputError(f"{folder}: {recipe.sources[0].dataset} has no split {split!r}; choose another --split.")
    run = read_json(folder / RUN_FILE)
    parameters, operations = _network_of(recipe)
    return _row(
        recipe.name,
        read_json(report),
        parameters=parameters,
        flops=operations,
        images_per_second=run.get("images_per_second"),
        minutes=run.get("minutes"),
    )


def _network_of(recipe: ShallowSettings) -> tuple[int | None, int | None]:
    """Parameters and FLOPs of the network that the features come from; None for those of pixels."""
    from leukopy.bundle import open_bundle
    from leukopy.models.backbones import BACKBONES
    from leukopy.models.flops import flops

    features = recipe.features
    if features.model is not None:
        card = open_bundle(features.model).card
        name = card.recipe.get("backbone", {}).get("name")
        known = name in BACKBONES
        return card.model.parameters, flops(name, card.preprocess) if known else None
    if features.backbone is None or features.preprocess is None:
        return None, None
    import torch

    with torch.device("meta"):
        backbone = BACKBONES[features.backbone].build(features.preprocess.size, False)
    return sum(part.numel() for part in backbone.parameters()), flops(features.backbone, features.preprocess)


def _row(name: str, report: dict[str, Any], **costs: Any) -> ComparisonRow:
    from leukopy.reports.comparison import ComparisonRow

    figures: dict[str, Any] = {}
    for key in ("coarse", "fine"):
        level = report["levels"].get(key)
        if level is not None:
            figures |= {
                f"{key}_accuracy": level["accuracy"]["value"],
                f"{key}_macro_f1": level["macro F1"]["value"],
                f"{key}_ece": level["ECE"]["value"],
                f"{key}_f1": {code: score["f1"]["value"] for code, score in level["classes"].items()},
            }
    return ComparisonRow(name, **figures, **costs)
