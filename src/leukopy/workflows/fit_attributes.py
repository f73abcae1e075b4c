"""Fit attribute heads on a bundle's network, which stays as it is, and measure them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.errors import MissingExtraError, TrainingError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Attributes, Bundle, Card, Metric
    from leukopy.evaluation.attribute_scores import AttributeScores
    from leukopy.evaluation.intervals import Estimate
    from leukopy.training.attribute_heads import HeadSettings

REPORT_FILE = "attributes.json"


class AttributeSettings(Settings):
    """Settings of `fit_attributes`."""

    model: str = "default"
    """A bundled model, or a bundle folder."""
    wbcatt: Path = Path("cells/wbcatt")
    """Folder of the tables of WBCAtt; relative folders lie below LEUKOPY_DATA."""
    pbc: Path = Path("cells/pbc")
    """Folder of PBC Barcelona, whose images they annotate."""
    heads: dict[str, Any] = Field(default_factory=dict)
    """Settings of the fit (`training.attribute_heads.HeadSettings`)."""


@dataclass(frozen=True)
class AttributeResult:
    """The new bundle, and the figures of its attributes."""

    bundle: Path
    card: Card
    test: AttributeScores
    failures: int


def fit_attributes(
    settings: AttributeSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> AttributeResult:
    """Fit on WBCAtt's training part, choose the epoch on its validation part, score once on its test part.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``attributes.json`` (all figures), ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells processed.

    Raises:
        MissingExtraError: torch is not installed.
        BundleError: the model is absent, broken or foreign.
        ManifestError: the tables of WBCAtt are wrong, or do not fit the images.
        TrainingError: the network has no stages of the names given, or is changed by what is added.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    _require_torch()
    from leukopy.bundle import open_bundle, write_bundle
    from leukopy.datasets import open_dataset
    from leukopy.datasets.wbcatt import read_wbcatt
    from leukopy.training.attribute_heads import HeadSettings, card_for, statistics

    how = HeadSettings.build(settings.heads, where="heads")
    bundle = open_bundle(settings.model)
    cells = read_wbcatt(data_folder() / settings.wbcatt, open_dataset("pbc", data_folder() / settings.pbc))
    run = record("fit-attributes", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    seen, failures = statistics(bundle, how.stages, cells["path"].to_list(), progress)
    _write_failures(out / "failures.csv", cells, failures)
    kept = [index for index in range(len(cells)) if index not in failures]
    content, attributes, logits = _fit(bundle, cells[kept], seen[kept], how)
    measured = measure(attributes, cells[kept], logits, (cells["part"][kept] == "test").to_numpy())
    card = card_for(bundle.card, content, attributes=attributes.model_copy(update={"metrics": measured.metrics}))
    fitted = write_bundle(out / "bundle", card, content)
    write_json(out / REPORT_FILE, measured.report)
    finish(out, run, failures=len(failures))
    return AttributeResult(fitted.path, card, measured.scores, len(failures))


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("leukopy model fit-attributes", "train") from error


def _write_failures(path: Path, cells: pl.DataFrame, failures: dict[int, str]) -> None:
    import polars as pl

    with atomic_path(path) as temporary:
        rows = cells[list(failures)].select("cell_id", message=pl.Series(failures.values(), dtype=pl.String))
        rows.write_csv(temporary)


def _fit(
    bundle: Bundle, cells: pl.DataFrame, seen: NDArray[np.float32], how: HeadSettings
) -> tuple[bytes, Attributes, NDArray[np.float32]]:
    """The network with attributes, their card entry, and their logits (N, K) for all cells."""
    import onnx

    from leukopy.bundle import Attributes, DatasetUse
    from leukopy.datasets import wbcatt
    from leukopy.network.outputs import inputs_of, with_attributes, without_attributes
    from leukopy.taxonomy import ATTRIBUTE_CLASSES
    from leukopy.training.attribute_heads import apply, calibrated_heads, fit_heads

    truth, part = value_indices(cells), cells["part"].to_numpy()
    train, val = part == "train", part == "val"
    layers = fit_heads(seen[train], truth[train], seen[val], truth[val], how)
    model = without_attributes(onnx.load(bundle.model_path))
    content = with_attributes(model, inputs_of(model, how.stages), layers).SerializeToString()
    logits = apply(layers, seen)
    attributes = Attributes(
        heads=calibrated_heads(logits[val], truth[val], how.target_precision),
        classes=ATTRIBUTE_CLASSES,
        method=f"Two linear layers ({sum(part.size for layer in layers for part in layer):,} parameters) on mean and "
        f"deviation of the channels of {len(how.stages)} maps of the network, which stays as it is; epoch, thresholds "
        f"and temperatures chosen on {int(val.sum()):,} validation cells. One laboratory and stain only.",
        trained_on=DatasetUse(
            name=wbcatt.NAME,
            licence=wbcatt.LICENCE,
            citation=wbcatt.CITATION,
            images=int(train.sum()),
            note="The images are those of PBC Barcelona.",
        ),
        recipe=how.model_dump(mode="json"),
    )
    _check_unchanged(bundle, content, cells["path"].to_list(), logits)
    return content, attributes, logits


def _check_unchanged(bundle: Bundle, content: bytes, paths: list[str], expected: NDArray[np.float32]) -> None:
    """Refuse a network whose classes changed, or whose attributes are not those that were measured."""
    import tempfile

    import numpy as np

    from leukopy.bundle import write_bundle
    from leukopy.inference import file_activations
    from leukopy.training.attribute_heads import card_for

    some = np.linspace(0, len(paths) - 1, min(64, len(paths))).astype(int)
    chosen = [paths[index] for index in some]
    with tempfile.TemporaryDirectory() as scratch:
        after = write_bundle(Path(scratch), card_for(bundle.card, content), content)
        classes, expected_classes = (file_activations(own, chosen, "logits")[0] for own in (after, bundle))
        attributes = file_activations(after, chosen, "attributes")[0]
    if not np.array_equal(classes, expected_classes):
        raise TrainingError("the network's class logits changed when attributes were added; not exported.")
    difference = np.abs(attributes - expected[some]).max()
    if not difference <= 1e-3:
        raise TrainingError(f"ONNX attributes differ by {difference:.2g} from those that were fitted; not exported.")


def value_indices(cells: pl.DataFrame) -> NDArray[np.intp]:
    """Int (N, A): the index of each attribute's value, in the order of ``taxonomy.ATTRIBUTES``."""
    import numpy as np

    from leukopy.taxonomy import ATTRIBUTES

    return np.array([[each.values.index(value) for value in cells[each.name]] for each in ATTRIBUTES], dtype=np.intp).T


@dataclass(frozen=True)
class Measured:
    """Figures of a bundle's attributes on one part of WBCAtt."""

    scores: AttributeScores
    report: dict[str, Any]
    metrics: tuple[Metric, ...]


def measure(
    attributes: Attributes, cells: pl.DataFrame, logits: NDArray[np.float32], scored: NDArray[np.bool_]
) -> Measured:
    """Score attributes against two baselines: the most frequent value, and the most frequent value of the class.

    Args:
        attributes: of the bundle that gave ``logits``.
        cells: all parts of WBCAtt, as `read_wbcatt` gives them.
        logits: float (N, K), the bundle's ``attributes`` output for them; only the rows ``scored`` need be numbers.
        scored: bool (N,), the cells of one part that are scored.
    """
    import numpy as np

    from leukopy.evaluation.attribute_scores import attribute_scores
    from leukopy.inference.attribute_columns import head_probabilities

    truth = value_indices(cells)
    train = cells["part"].to_numpy() == "train"
    probabilities = head_probabilities(logits[scored], attributes).values()
    found = np.stack([own.argmax(axis=1) for own in probabilities], axis=1)
    sure = np.stack([own.max(axis=1) for own in probabilities], axis=1) >= [
        head.min_confidence for head in attributes.heads
    ]
    right, unseen = found == truth[scored], (cells["pbc_split"].to_numpy() == "test")[scored]
    codes = cells["code"].to_numpy()
    readings = {
        "attributes": found,
        "most frequent value": np.tile(_most_frequent(truth[train]), (len(found), 1)),
        "most frequent value of the true class": np.stack(
            [_most_frequent(truth[train & (codes == code)]) for code in codes[scored]]
        ),
    }
    scores = {name: attribute_scores(truth[scored], answers) for name, answers in readings.items()}
    apart = attribute_scores(truth[scored][unseen], found[unseen]) if unseen.any() else None
    report = {
        "part": str(cells["part"].to_numpy()[scored][0]),
        **{name: asdict(score) for name, score in scores.items()},
        "attributes, only images that the network never learnt from": apart and asdict(apart),
        "said in words": {"share": float(sure.mean()), "of them right": float(right[sure].mean())},
    }
    return Measured(scores["attributes"], report, _metrics(scores["attributes"], apart, sure, right))


def _most_frequent(values: NDArray[np.intp]) -> NDArray[np.intp]:
    import numpy as np

    return np.array([np.bincount(own).argmax() for own in values.T])


def _metrics(
    scores: AttributeScores, apart: AttributeScores | None, sure: NDArray[np.bool_], right: NDArray[np.bool_]
) -> tuple[Metric, ...]:
    from leukopy.bundle import Metric

    data = f"WBCAtt, its test part, {scores.cells:,} images of PBC; the network learnt classes on part of them"

    def metric(name: str, found: Estimate, on: str = data) -> Metric:
        return Metric(name=name, value=found.value or 0.0, low=found.low, high=found.high, data=on)

    def means(found: AttributeScores, on: str) -> list[Metric]:
        names = {"macro F1, mean of attributes": found.macro_f1, "accuracy, mean of attributes": found.accuracy}
        return [metric(name, estimate, on) for name, estimate in names.items()]

    every = means(scores, data)
    if apart:
        only = f"the {apart.cells:,} of them in the test split of PBC, which the network never learnt from"
        every += means(apart, only)
    every += [metric(f"macro F1, {score.name.replace('_', ' ')}", score.macro_f1) for score in scores.attributes]
    said = Metric(name="accuracy of the attributes given in words", value=float(right[sure].mean()), data=data)
    return (*every, said)
