"""A model before and after its last layer was fitted, on the same labelled cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.evaluation.calibration import CalibrationReport
    from leukopy.evaluation.classification import Classification
    from leukopy.evaluation.intervals import Estimate
    from leukopy.taxonomy import CellClass


@dataclass(frozen=True)
class Judged:
    """A model on labelled cells, at the coarse classes."""

    classes: Classification
    calibration: CalibrationReport


def judge(
    listed: tuple[pl.DataFrame, tuple[CellClass, ...]], before: NDArray[np.float32], after: NDArray[np.float32]
) -> tuple[Judged, Judged, Estimate]:
    """Both models on the same cells, from logits over their temperatures (N, F + K), and the gain."""
    import numpy as np

    from leukopy.evaluation.calibration import calibration
    from leukopy.evaluation.classification import classification, classify_scores, coarse_indices
    from leukopy.evaluation.intervals import Estimate, bootstrap
    from leukopy.network.probabilities import softmax
    from leukopy.taxonomy import COARSE, coarse_matrix

    cells, own = listed
    classes = (*COARSE, *own)
    to_level = coarse_matrix(len(own))
    truth = coarse_indices(cells["code"].to_list(), own)
    size, rows = len(classes), np.arange(len(truth))
    tables = np.zeros((len(truth), 2, size, size), np.int8)
    judged = []
    for index, logits in enumerate((before, after)):
        chances = (softmax(logits) @ to_level).clip(max=1)
        found = chances.argmax(axis=1)
        tables[rows, index, truth, found] = 1
        judged.append(Judged(classification(truth, found, classes), calibration(chances, found, truth)))

    def gain(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = sums.reshape(-1, 2, size, size)
        balanced = [classify_scores(pairs[:, index])[:, 1] for index in range(2)]
        return np.asarray(balanced[1] - balanced[0])[:, None]

    flat = tables.reshape(len(truth), -1)
    low, high = bootstrap(flat, gain)
    value = gain(flat.sum(axis=0, dtype=np.float64)[None])[0, 0]
    return judged[0], judged[1], Estimate.of(float(value), float(low[0]), float(high[0]))


def numbers(judged: Judged) -> dict[str, object]:
    """The figures of a model, as JSON values."""
    return {
        "balanced_accuracy": asdict(judged.classes.balanced_accuracy),
        "accuracy": asdict(judged.classes.accuracy),
        "ece": asdict(judged.calibration.ece),
        "recall": {score.code: score.recall.value for score in judged.classes.classes if score.support},
    }
