"""Train without one class, each in turn, and measure whether its cells are detected as out-of-distribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from leukopy.core.errors import SettingsError
from leukopy.core.files import read_json
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.provenance import provenance
from leukopy.core.runs import FINISHED, RUN_FILE
from leukopy.core.settings import Settings, apply_changes, read_mapping
from leukopy.workflows.fit_ood import OpenSetSettings, fit_open_set, recipe_of
from leukopy.workflows.train import build_recipe, train

if TYPE_CHECKING:
    from leukopy.bundle import Bundle
    from leukopy.reports.leave_class_out import LeftOut


class LeftOutSettings(Settings):
    """Settings of a leave-class-out study."""

    name: str
    """Name of the study."""
    title: str
    """Title of the table and the figure."""
    recipe: dict[str, Any]
    """A training recipe; each model is trained by it without one class."""
    classes: tuple[str, ...] = Field(min_length=1)
    """Codes of the classes that are left out in turn, fine or coarse."""
    split: Literal["val", "test"] = "test"
    """Split whose cells are scored. The definition of the score was chosen on ``val``."""
    keep_rate: float = Field(default=0.97, gt=0.5, lt=1)
    """Share of the known cells below the threshold."""
    ood_score: dict[str, Any] = Field(default_factory=dict)
    """Settings of the score's fit (`training.ood_score.OodSettings`)."""

    @field_validator("classes")
    @classmethod
    def _once(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(codes)) != len(codes):
            raise ValueError("each class may be left out once")
        return codes


@dataclass(frozen=True)
class LeftOutResult:
    """The figures of each finished class, and their folder."""

    rows: tuple[LeftOut, ...]
    out: Path


def read_left_out(path: Path) -> LeftOutSettings:
    """Read the settings; ``recipe`` is a mapping, or the path of a recipe beside the file, with ``changes`` to it.

    Raises:
        SettingsError: a name or value is wrong.
    """
    values = read_mapping(path)
    values = dict(values.get("settings", values))
    changes = values.pop("changes", {})
    if isinstance(values.get("recipe"), str):
        values["recipe"] = read_mapping(path.parent / values["recipe"])
    values["recipe"] = apply_changes(values.get("recipe", {}), changes)
    return LeftOutSettings.build(values, where=str(path))


def leave_out(
    settings: LeftOutSettings,
    out: Path,
    *,
    only: tuple[str, ...] = (),
    progress: Progress = silent,
    show_progress: bool = False,
) -> LeftOutResult:
    """Train without each class in turn, fit the out-of-distribution score, evaluate it on cells of all classes.

    Finished classes are skipped: the same command resumes an interrupted run, and several processes may share ``out``
    when each does ``only`` some classes.

    Args:
        settings: the classes.
        out: receives ``<class>/model/`` (training run) and ``<class>/open/`` (fitted score) for each class,
            and ``open_set.csv``, ``open_set.json``, ``summary.md`` and ``open_set.png``.
        only: classes to do now; none: all.
        progress: reports the decoding and embedding.
        show_progress: draw the epochs' bar.

    Raises:
        SettingsError: ``only`` names no class of the settings, or ``out`` holds a model that was trained otherwise.
        TrainingError: no image to train on, or the training diverged.
    """
    from leukopy.reports.leave_class_out import write_open_set

    if unknown := set(only) - set(settings.classes):
        raise SettingsError(f"--class {min(unknown)}: no class that is left out; those are {list(settings.classes)}.")
    for code in settings.classes:
        if not only or code in only:
            _fitted(settings, code, out, progress, show_progress)
    rows = tuple(_rows(settings, out, progress))
    facts = {"settings": settings.model_dump(mode="json"), **provenance()}
    write_open_set(out, settings.title, rows, facts)
    return LeftOutResult(rows, out)


def _finished(folder: Path) -> bool:
    return (folder / RUN_FILE).exists() and read_json(folder / RUN_FILE)["status"] == FINISHED


def _fitted(settings: LeftOutSettings, code: str, out: Path, progress: Progress, show_progress: bool) -> None:
    """The bundle that never saw a class, with its out-of-distribution score: made now, or earlier."""
    run, opened = out / code / "model", out / code / "open"
    recipe = build_recipe({**settings.recipe, "without": [code]}, where=f"class {code!r}")
    if not _finished(run):
        train(recipe, run, resume=run.exists(), progress=progress, show_progress=show_progress)
    # A run of before a setting was known has its usual value.
    elif build_recipe(read_json(run / RUN_FILE)["settings"], where=str(run / RUN_FILE)) != recipe:
        raise SettingsError(f"{run}: was trained with other settings. Remove it, or choose another --out.")
    wanted = OpenSetSettings(model=str(run / "bundle"), keep_rate=settings.keep_rate, ood_score=settings.ood_score)
    if not (_finished(opened) and read_json(opened / RUN_FILE)["settings"] == wanted.model_dump(mode="json")):
        fit_open_set(wanted, opened, overwrite=True, progress=progress)


def _rows(settings: LeftOutSettings, out: Path, progress: Progress) -> Iterator[LeftOut]:
    """The figures of every class for which there is a fitted bundle, whichever process made it."""
    from leukopy.bundle import open_bundle

    for code in settings.classes:
        if _finished(out / code / "open"):
            yield _score(settings, code, open_bundle(out / code / "open" / "bundle"), progress)


def _score(settings: LeftOutSettings, code: str, bundle: Bundle, progress: Progress) -> LeftOut:
    """Score the cells of the class against the others of the split, by the score and by the logits alone."""
    import numpy as np
    import polars as pl

    from leukopy.evaluation.classification import coarse_indices
    from leukopy.evaluation.ood import score_open_set
    from leukopy.evaluation.roc import delong_interval
    from leukopy.network.probabilities import softmax
    from leukopy.reports.leave_class_out import LeftOut
    from leukopy.taxonomy import coarse_matrix, fine_members
    from leukopy.training.ood_score import run_network
    from leukopy.training.sources import with_test

    every = recipe_of(bundle).model_copy(update={"without": ()})
    cells = with_test(every, data_folder()).filter(split=settings.split)
    seen = run_network(bundle, cells, cache_folder(), progress, ("logits", "ood_score"))
    ood_score, logits = seen.outputs["ood_score"], seen.outputs["logits"]
    left_out = set(fine_members(code))
    unknown = np.array([left_out.issuperset(fine_members(own)) for own in seen.cells["code"]])
    coarse = softmax(logits) @ coarse_matrix()
    others = {"highest probability": -coarse.max(axis=1), "highest logit": -logits.max(axis=1)}
    right = coarse.argmax(axis=1) == coarse_indices(seen.cells["code"].to_list())
    knowing = bundle.card.open_set
    if knowing is None:
        raise SettingsError(f"{bundle.path}: has no out-of-distribution score. Remove the folder, and run again.")
    return LeftOut(
        code=code,
        score=score_open_set(ood_score, unknown, knowing.threshold),
        others={name: delong_interval(unknown, values) for name, values in others.items()},
        accuracy=float(right[~unknown].mean()),
        taken_for=dict(
            pl.Series(np.array(_coarse_codes())[coarse.argmax(axis=1)[unknown]]).value_counts(sort=True).iter_rows()
        ),
    )


def _coarse_codes() -> list[str]:
    from leukopy.taxonomy import COARSE

    return [cell.code for cell in COARSE]
