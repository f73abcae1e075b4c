"""Domain-shift study: train in some laboratories, test in the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leukopy.core.errors import SettingsError
from leukopy.core.files import read_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.provenance import provenance
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.core.settings import Settings, apply_changes, read_mapping
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from leukopy.workflows.train import build_recipe, train

if TYPE_CHECKING:
    from leukopy.evaluation.transfer import Transfer
    from leukopy.inference.workers import Pool
    from leukopy.reports.transfer import TransferRow

DRAWN = "drawn"
BASE = "base"


class Arm(Settings):
    """One way to train, tested in every laboratory that it leaves out."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of the arm and of its folder."""
    title: str = ""
    """For people; the name if not given."""
    train: tuple[str, ...] = Field(min_length=1)
    """Sources of the recipe that it trains on."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Dotted names of the recipe's settings -> other values, as ``--set`` of ``leukopy train``."""
    model_of: str | None = None
    """Train nothing; take the models of this arm, and only prepare the pictures as ``changes`` says."""
    seeds: tuple[int, ...] = ()
    """Other seeds than those of the whole transfer."""


class TransferSettings(Settings):
    """A matrix of training against testing laboratories."""

    name: str
    """Name of the study."""
    title: str
    """Title of the table and the figure."""
    recipe: dict[str, Any]
    """A training recipe that lists every laboratory as a source; each arm trains on some of them."""
    base: dict[str, Any] | None = None
    """A recipe that is trained once a seed; every arm starts from its network, and trains on all of its sources."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """Arms of the study."""
    seeds: tuple[int, ...] = (0,)
    """Each arm is trained once with each."""
    untested: tuple[str, ...] = (DRAWN,)
    """Sources that no arm is tested on: drawn or generated cells, and laboratories that a generator learnt from."""
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap replicates of each interval."""


@dataclass(frozen=True)
class TransferResult:
    """The figures of every model in every laboratory, and their folder."""

    rows: tuple[TransferRow, ...]
    out: Path


def read_transfer(path: Path) -> TransferSettings:
    """Read a transfer file; its ``recipe`` and ``base`` are mappings, or paths of recipes beside the file.

    Raises:
        SettingsError: a name or value is wrong.
    """
    values = read_mapping(path)
    values = values.get("settings", values)
    for name in ("recipe", "base"):
        if isinstance(values.get(name), str):
            values[name] = read_mapping(path.parent / values[name])
    settings = TransferSettings.build(values, where=str(path))
    _check(settings, str(path))
    return settings


def _check(settings: TransferSettings, where: str) -> None:
    known = [source["dataset"] for source in settings.recipe.get("sources", ())]
    names = [arm.name for arm in settings.arms]
    if BASE in names:
        raise SettingsError(f"{where}: an arm is named {BASE!r}, as the folder of the base. Name it otherwise.")
    in_base = [source["dataset"] for source in (settings.base or {}).get("sources", ())]
    if unknown := [name for name in settings.untested if name not in (*known, DRAWN)]:
        raise SettingsError(f"{where}: untested names {unknown[0]!r}; the recipe has {known}.")
    for arm in settings.arms:
        if unseen := [name for name in in_base if name not in arm.train]:
            raise SettingsError(f"{where}: the base of arm {arm.name!r} is trained on {unseen[0]!r}, the arm is not.")
        if unknown := [name for name in arm.train if name not in known]:
            raise SettingsError(f"{where}: arm {arm.name!r} trains on {unknown[0]!r}; the recipe has {known}.")
        if arm.model_of is not None and arm.model_of not in names[: names.index(arm.name)]:
            raise SettingsError(f"{where}: arm {arm.name!r} takes the models of {arm.model_of!r}, no arm before it.")
    if len(set(names)) != len(names):
        raise SettingsError(f"{where}: two arms have one name.")


def transfer(
    settings: TransferSettings,
    out: Path,
    *,
    only: tuple[str, ...] = (),
    pool: Pool | None = None,
    progress: Progress = silent,
    show_progress: bool = False,
) -> TransferResult:
    """Train each arm with each seed, test it in the other laboratories, and write one table of all results.

    Finished models are skipped: the same command resumes an interrupted transfer, and several processes may share
    ``out`` when each does ``only`` some arms.

    Args:
        settings: the arms.
        out: receives ``<arm>/seed<n>/`` (training run and one evaluation for each laboratory), ``transfer.csv``,
            ``recalls.csv``, ``transfer.json``, ``summary.md`` and ``transfer.png``.
        only: names of the arms to do now, or ``base``; none: all. Processes that share a base start once it is trained.
        pool: trains the arms, on machines that all see ``out`` and the data under the same paths; by default this
            process does, one arm after the other.
        progress: reports the training and testing.
        show_progress: draw the epochs' bar.

    Raises:
        SettingsError: ``only`` names no arm, or ``out`` holds a model of the same name trained otherwise.
        TrainingError: no image to train on, or the training diverged.
    """
    from leukopy.reports.transfer import write_transfer

    known = [arm.name for arm in settings.arms] + ([BASE] if settings.base else [])
    if unknown := set(only) - set(known):
        raise SettingsError(f"--arm {min(unknown)}: no such arm; known: {known}.")
    for stage in _stages(settings, only):
        if pool is None:
            for arm, seed in stage:
                _train_and_test(settings, arm, seed, out, progress, show_progress)
        else:
            calls = [(settings, arm, seed, out.absolute()) for arm, seed in stage]
            for done, _ in enumerate(pool(_train_and_test, calls, len(calls)), start=1):
                progress("training and testing", done, len(calls))
    rows = tuple(_rows(settings, out))
    if rows:  # none yet where only the base is trained
        write_transfer(out, settings.title, rows, {"settings": settings.model_dump(mode="json"), **provenance()})
    return TransferResult(rows, out)


def _stages(settings: TransferSettings, only: tuple[str, ...]) -> list[list[tuple[str, int]]]:
    """Arms and seeds to do; each stage needs the one before, and its parts do not need each other."""
    arms = [arm for arm in settings.arms if not only or arm.name in only]
    trained = [(arm.name, seed) for arm in arms if arm.model_of is None for seed in arm.seeds or settings.seeds]
    prepared = [(arm.name, seed) for arm in arms if arm.model_of for seed in arm.seeds or settings.seeds]
    of_base = [seed for _, seed in trained] + list(settings.seeds if BASE in only else ())
    base = [(BASE, seed) for seed in dict.fromkeys(of_base)] if settings.base else []
    return [stage for stage in (base, trained, prepared) if stage]


def _train_and_test(
    settings: TransferSettings,
    name: str,
    seed: int,
    out: Path,
    progress: Progress = silent,
    show_progress: bool = False,
) -> None:
    """Train one arm, or the base, with one seed, and test the arm in its laboratories."""
    if name == BASE and settings.base is not None:
        _base(settings.base, seed, out, progress, show_progress)
        return
    arm = next(arm for arm in settings.arms if arm.name == name)
    bundle = _model(settings, arm, seed, out, progress, show_progress)
    for laboratory in _targets(settings, arm):
        _test(laboratory, bundle, _folder(out, arm, seed) / laboratory.data, progress)


def _folder(out: Path, arm: Arm, seed: int) -> Path:
    return out / arm.name / f"seed{seed}"


def _finished(folder: Path) -> bool:
    return (folder / RUN_FILE).exists() and read_json(folder / RUN_FILE)["status"] == FINISHED


def _model(settings: TransferSettings, arm: Arm, seed: int, out: Path, progress: Progress, show_progress: bool) -> Path:
    """The bundle of an arm: trained now, trained earlier, or another arm's with other pictures put in."""
    folder = _folder(out, arm, seed)
    if arm.model_of is not None:
        return _prepared_otherwise(out / arm.model_of / f"seed{seed}" / "model" / "bundle", arm, folder / "bundle")
    values = apply_changes(settings.recipe, {**arm.changes, "seed": seed})
    values["sources"] = [source for source in values["sources"] if source["dataset"] in arm.train]
    if settings.base is not None:
        base = _base(settings.base, seed, out, progress, show_progress)
        values = apply_changes(values, {"backbone.pretrained": False, "backbone.run": str(base)})
    return _trained(values, arm.name, folder / "model", progress, show_progress) / "bundle"


def _base(recipe: dict[str, Any], seed: int, out: Path, progress: Progress, show_progress: bool) -> Path:
    return _trained({**recipe, "seed": seed}, BASE, out / BASE / f"seed{seed}", progress, show_progress)


def _trained(values: dict[str, Any], name: str, run: Path, progress: Progress, show_progress: bool) -> Path:
    """A training run, made now or earlier by the same settings."""
    recipe = build_recipe(values, where=f"arm {name!r}")
    if not _finished(run):
        train(recipe, run, resume=run.exists(), progress=progress, show_progress=show_progress)
    elif build_recipe(read_json(run / RUN_FILE)["settings"], where=str(run / RUN_FILE)) != recipe:
        raise SettingsError(f"{run}: was trained with other settings. Remove it, or choose another --out.")
    return run


def _prepared_otherwise(bundle: Path, arm: Arm, folder: Path) -> Path:
    """The same network, fed pictures that are prepared as ``arm.changes`` says."""
    from leukopy.bundle import Card, open_bundle, write_bundle

    opened = open_bundle(bundle)
    card = apply_changes(opened.card.model_dump(mode="json"), arm.changes)
    return write_bundle(folder, Card.build(card, where=f"arm {arm.name!r}"), opened.model_path.read_bytes()).path


def _targets(settings: TransferSettings, arm: Arm) -> Iterator[EvaluateSettings]:
    """The laboratories that the arm was not trained on, whole; of those it was, the test split if they have one."""
    from leukopy.datasets import open_dataset

    for source in settings.recipe["sources"]:
        name, root = source["dataset"], data_folder() / source.get("root", "")
        if name not in settings.untested:
            trained_on = name in arm.train
            if not trained_on or "test" in open_dataset(name, root)["split"]:
                split: Literal["test", "all"] = "test" if trained_on else "all"
                yield EvaluateSettings(data=name, root=root, split=split, examples=0, replicates=settings.replicates)


def _test(laboratory: EvaluateSettings, bundle: Path, folder: Path, progress: Progress) -> None:
    if not _finished(folder):
        evaluate(laboratory.model_copy(update={"model": str(bundle)}), folder, overwrite=True, progress=progress)


def _rows(settings: TransferSettings, out: Path) -> Iterator[TransferRow]:
    """Every model in every laboratory for which there are predictions, whichever process made them."""
    from leukopy.reports.transfer import TransferRow

    for arm in settings.arms:
        for seed in arm.seeds or settings.seeds:
            for laboratory in _targets(settings, arm):
                folder = _folder(out, arm, seed) / laboratory.data
                if _finished(folder):
                    scores = _score(folder / "predictions.parquet", settings.replicates)
                    title = arm.title or arm.name
                    yield TransferRow(arm.name, title, seed, laboratory.data, laboratory.split, scores)


def _score(predictions: Path, replicates: int) -> Transfer:
    import polars as pl

    from leukopy.evaluation.classification import coarse_indices
    from leukopy.evaluation.transfer import score_transfer
    from leukopy.taxonomy import COARSE

    cells = pl.read_parquet(predictions)
    truth = coarse_indices(cells["truth"].to_list())
    return score_transfer(truth, cells.select(f"p_{cell.code}" for cell in COARSE).to_numpy(), replicates=replicates)
