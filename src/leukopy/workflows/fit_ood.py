"""Add an out-of-distribution score to a bundle's network; its classes do not change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.errors import BundleError, TrainingError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.paths import cache_folder, data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.train import build_recipe, require_torch

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card, Metric, Thresholds
    from leukopy.evaluation.intervals import Estimate
    from leukopy.network.head import Head
    from leukopy.network.ood_reference import OodReference
    from leukopy.training.ood_score import NetworkOutputs, OodSettings
    from leukopy.training.settings import TrainSettings

REPORT_FILE = "open_set.json"


class OpenSetSettings(Settings):
    """Settings of `fit_open_set`."""

    model: str = "default"
    """A bundled model, or a bundle folder."""
    keep_rate: float = Field(default=0.97, gt=0.5, lt=1)
    """Share of the known cells below the threshold."""
    ood_score: dict[str, Any] = Field(default_factory=dict)
    """Settings of the score's fit (`training.ood_score.OodSettings`)."""


@dataclass(frozen=True)
class OpenSetResult:
    """The new bundle, and its figures on cells of known classes."""

    bundle: Path
    card: Card
    false: dict[str, Estimate]
    """Source -> share of the cells of its test split that are flagged unidentified."""
    failures: int


def fit_open_set(
    settings: OpenSetSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> OpenSetResult:
    """Add the out-of-distribution score to a bundle's network; set its threshold on the bundle's validation cells.

    The classes stay bit for bit as they are. A card without `Thresholds.set_from` gets it too, from the same cells.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``open_set.json`` (all figures), ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells processed.

    Raises:
        MissingExtraError: torch is not installed.
        BundleError: the model is absent, broken or foreign, its recipe is no network's, or its head is not linear.
        TrainingError: the network has no stages of the names given, the cells are too few or of one class, or the
            network would change.
        InputError: the pictures of the recipe's sources are not there.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    require_torch()
    import polars as pl

    from leukopy.bundle import OpenSet, carry_over, open_bundle, write_bundle
    from leukopy.network.head import read_head
    from leukopy.network.outputs import CENTRE, FAR, OOD_SCORE
    from leukopy.slides.ood_correction import baseline
    from leukopy.training.attribute_heads import card_for
    from leukopy.training.ood_score import OodSettings, far_of, fit_reference, ood_score_of, parts_of, scaled

    how = OodSettings.build(settings.ood_score, where="ood_score")
    bundle = open_bundle(settings.model)
    recipe, head = recipe_of(bundle), read_head(bundle.model_path.read_bytes())
    run = record("fit-open-set", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    train, val, test = _look(bundle, recipe, how, progress)
    failures = pl.concat([train.failures, val.failures, test.failures])
    _write(out / "failures.csv", failures)
    reference = fit_reference(head, recipe, train, how)
    of_val, of_test = (parts_of(reference, seen.outputs[CENTRE], seen.outputs["embedding"]) for seen in (val, test))
    reference = scaled(reference, of_val, settings.keep_rate)
    ood_score, far = ood_score_of(reference, of_val), far_of(reference, of_val)
    threshold = _threshold(ood_score, settings.keep_rate)
    false = _false(test, ood_score_of(reference, of_test) > threshold)
    content = _extended(bundle, how, reference, val, {OOD_SCORE: ood_score, FAR: far})
    open_set = OpenSet(
        threshold=threshold,
        keep_rate=settings.keep_rate,
        baseline=baseline(ood_score, far),
        fitted_on=f"validation split of {_sources(val)}, {len(val.cells):,} images",
        method=f"{how.method} They are {len(train.cells):,}, of {_sources(train)}.",
        metrics=_metrics(false, test),
        recipe=how.model_dump(mode="json"),
    )
    card = card_for(
        bundle.card, content, open_set=open_set, thresholds=_thresholds(bundle, head, val), count_error=None
    )
    written = write_bundle(out / "bundle", card, content)
    carry_over(bundle, written)
    figures = {name: asdict(share) for name, share in false.items()}
    write_json(out / REPORT_FILE, {"threshold": threshold, "keep_rate": settings.keep_rate, "false": figures})
    finish(out, run, failures=len(failures))
    return OpenSetResult(written.path, card, false, len(failures))


def _look(bundle: Bundle, recipe: TrainSettings, how: OodSettings, progress: Progress) -> Iterator[NetworkOutputs]:
    """Network outputs of some training cells, and of the validation and test cells of the same classes.

    Raises:
        TrainingError: the network has no such stages.
    """
    import tempfile

    import polars as pl

    from leukopy.network.outputs import CENTRE
    from leukopy.taxonomy import fine_members
    from leukopy.training.ood_score import run_network, some_of, with_centre_output
    from leukopy.training.sources import with_test

    cells = with_test(recipe, data_folder())
    unseen = {index for code in recipe.without for index in fine_members(code)}
    cells = cells.filter(pl.Series([unseen.isdisjoint(fine_members(code)) for code in cells["code"]], dtype=pl.Boolean))
    with tempfile.TemporaryDirectory() as scratch:
        network = with_centre_output(bundle, how, Path(scratch))
        for split in ("train", "val", "test"):
            part = cells.filter(split=split)
            part = some_of(part, how.cells, how.seed) if split == "train" else part
            yield run_network(network, part, cache_folder(), progress, ("embedding", CENTRE))


def _sources(seen: NetworkOutputs) -> str:
    return ", ".join(seen.cells["source"].unique(maintain_order=True))


def recipe_of(bundle: Bundle) -> TrainSettings:
    """The training recipe of a bundle.

    Raises:
        BundleError: its card holds none of a network.
    """
    if not bundle.card.recipe.get("backbone"):
        raise BundleError(f"{bundle.path}: its card holds no recipe of a network, so its training data are unknown.")
    return build_recipe(bundle.card.recipe, where=f"the card of {bundle.path}")


def _extended(
    bundle: Bundle,
    how: OodSettings,
    reference: OodReference,
    val: NetworkOutputs,
    added: dict[str, NDArray[np.float64]],
) -> bytes:
    """The network with its out-of-distribution score; ``added`` is what it must give for the validation cells.

    Raises:
        TrainingError: the classes would change, or the network computes something else than what is measured here.
    """
    import tempfile

    import numpy as np
    import onnx

    from leukopy.bundle import write_bundle
    from leukopy.inference import activations
    from leukopy.network.outputs import inputs_of, with_ood_score, without_ood_score
    from leukopy.training.attribute_heads import card_for

    model = without_ood_score(onnx.load(bundle.model_path))
    maps = inputs_of(model, how.stages)
    content = bytes(with_ood_score(model, maps, how.window, reference).SerializeToString())
    some = np.linspace(0, len(val.cells) - 1, min(64, len(val.cells))).astype(int)
    pictures = val.pictures(some)
    with tempfile.TemporaryDirectory() as scratch:
        after = write_bundle(Path(scratch), card_for(bundle.card, content), content)
        found = activations(after, pictures, ["logits", *added])
    if not np.array_equal(found["logits"], activations(bundle, pictures, ["logits"])["logits"]):
        raise TrainingError(
            "the network's class logits changed when out-of-distribution score was added; not exported."
        )
    if not all(np.allclose(found[name], values[some], rtol=1e-2, atol=1e-2) for name, values in added.items()):
        raise TrainingError("the network's out-of-distribution score differs from what was measured; not exported.")
    return content


def _threshold(ood_score: NDArray[np.float64], keep_rate: float) -> float:
    from leukopy.evaluation.ood import threshold_keeping

    try:
        return threshold_keeping(ood_score, keep_rate)
    except ValueError as error:
        raise TrainingError(f"{error}; validate on more cells, or keep fewer of them.") from error


def _false(test: NetworkOutputs, flagged: NDArray[np.bool_]) -> dict[str, Estimate]:
    """By source: share of its test cells that are flagged."""
    from leukopy.evaluation.ood import share_of

    sources = test.cells["source"].to_numpy()
    return {str(name): share_of(flagged[sources == name]) for name in test.cells["source"].unique(maintain_order=True)}


def _metrics(false: dict[str, Estimate], test: NetworkOutputs) -> tuple[Metric, ...]:
    from leukopy.bundle import Metric

    counts = test.cells["source"].value_counts()
    images = dict(counts.iter_rows())
    return tuple(
        Metric(
            name="known cells flagged unidentified",
            value=share.value or 0.0,
            low=share.low,
            high=share.high,
            data=f"{name}, split test, {images[name]:,} images: kept apart from training, of a laboratory it saw",
        )
        for name, share in false.items()
    )


def _thresholds(bundle: Bundle, head: Head, val: NetworkOutputs) -> Thresholds:
    """The bundle's own; with the limit of the sets of classes, where it had none."""
    from leukopy.evaluation.classification import member_mask
    from leukopy.evaluation.conformal import set_threshold
    from leukopy.inference.adaptation import logits_of
    from leukopy.network.probabilities import softmax

    thresholds = bundle.card.thresholds
    members = member_mask(val.cells["code"].to_list())
    known = members.sum(axis=1) == 1  # NEU and IG say nothing about the fine class
    if thresholds.set_from is not None or not known.any():
        return thresholds
    logits = logits_of(head, val.outputs["embedding"][known])
    set_from = set_threshold(softmax(logits / bundle.card.calibration.temperature), members[known].argmax(axis=1))
    return thresholds.model_copy(update={"set_from": set_from})


def _write(path: Path, table: pl.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.write_csv(temporary)
