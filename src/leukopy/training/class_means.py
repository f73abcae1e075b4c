"""Outputs of a network from which the class means of a slide are re-estimated: see `leukopy.slides.class_means`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.core.errors import TrainingError
from leukopy.evaluation.classification import coarse_indices
from leukopy.slides.class_means import CLASS_TRAITS, TRAITS
from leukopy.taxonomy import COARSE, FINE

CELLS = 200
"""Maximum number of cells of each fine class."""
_AXES = 32
"""Axes along which the covariance within classes is estimated; along all others one common variance is used. With 32
axes four left-out laboratories gained somewhat more than with 128 or all."""
_RIDGE = 0.5
"""Share of the mean variance that is added along each axis."""


@dataclass(frozen=True, eq=False)
class Traits:
    """An affine map that whitens the embedding: known cells scatter equally around the mean of their class."""

    centre: NDArray[np.float64]
    """(D,): of all classes, in the embedding."""
    axes: NDArray[np.float64]
    """(D, A), orthonormal: along which cells of one class differ most."""
    shrink: NDArray[np.float64]
    """(A,): the part along each axis that is taken away."""
    scale: float
    """Divides what is left."""
    means: NDArray[np.float64]
    """(C, D): of the coarse classes, in traits."""
    spread: float
    """Mean squared distance, in traits, of known cells from the mean of their class."""

    def __call__(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """Traits (N, D) of embeddings (N, D)."""
        centred = embeddings - self.centre
        return np.asarray((centred - (centred @ self.axes * self.shrink) @ self.axes.T) / self.scale)


def known_cells(cells: pl.DataFrame, home: list[str], seed: int) -> pl.DataFrame:
    """Training cells of the laboratories ``home``, of coarse classes: at most `CELLS` of each label, by chance."""
    known = [cell.code for cell in (*FINE, *COARSE)]
    cells = cells.filter(pl.col("source").is_in(home), pl.col("code").is_in(known))
    return cells.filter(pl.int_range(pl.len()).shuffle(seed).over("code") < CELLS)


def fit_traits(embeddings: NDArray[np.float32], codes: list[str]) -> Traits:
    """Linear discriminants' whitening, and the means of the classes (Fisher 1936; ridge: Friedman, JASA 1989).

    Args:
        embeddings: (N, D), of cells of one laboratory.
        codes: N, fine or coarse.

    Raises:
        TrainingError: fewer than two cells of a coarse class.
    """
    classes = np.array(coarse_indices(codes))
    counts = np.bincount(classes, minlength=len(COARSE))
    if counts.min() < 2:
        lacking = COARSE[int(counts.argmin())].code
        raise TrainingError(
            f"slide_classes: the laboratory that validates shows fewer than two training cells of {lacking}, so its "
            "class means are unknown. Take slide_classes out of the recipe."
        )
    values = embeddings.astype(np.float64)
    means = np.stack([values[classes == index].mean(axis=0) for index in range(len(COARSE))])
    around = values - means[classes]
    variance = (around**2).sum() / len(around)
    ridge = _RIDGE * variance / values.shape[1]
    _, sizes, axes = np.linalg.svd(around / np.sqrt(len(around)), full_matrices=False)
    sizes, axes = sizes[:_AXES] ** 2, axes[:_AXES].T
    plain = Traits(means.mean(axis=0), axes, 1 - np.sqrt(ridge / (sizes + ridge)), float(np.sqrt(ridge)), means, 0.0)
    means = plain(means)
    spread = float(((plain(values) - means[classes]) ** 2).sum(axis=1).mean())
    return Traits(plain.centre, plain.axes, plain.shrink, plain.scale, means, spread)


def with_traits(model: onnx.ModelProto, traits: Traits) -> onnx.ModelProto:
    """Add the outputs ``traits`` (N, D) and ``class_traits`` (C, D) to a network, which stays as it is."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    constants = {
        "centre": traits.centre,
        "down": traits.axes * traits.shrink,
        "up": traits.axes.T,
        "scale": np.array(traits.scale),
        "means": traits.means,
    }
    for name, values in constants.items():
        array = np.ascontiguousarray(values, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"{TRAITS}.{name}"))
    for operator, inputs, output in (
        ("Sub", ["embedding", f"{TRAITS}.centre"], f"{TRAITS}.centred"),
        ("MatMul", [f"{TRAITS}.centred", f"{TRAITS}.down"], f"{TRAITS}.along"),
        ("MatMul", [f"{TRAITS}.along", f"{TRAITS}.up"], f"{TRAITS}.taken"),
        ("Sub", [f"{TRAITS}.centred", f"{TRAITS}.taken"], f"{TRAITS}.left"),
        ("Div", [f"{TRAITS}.left", f"{TRAITS}.scale"], TRAITS),
        ("Identity", [f"{TRAITS}.means"], CLASS_TRAITS),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output], name=output))
    width = len(traits.centre)
    graph.output.append(helper.make_tensor_value_info(TRAITS, TensorProto.FLOAT, ["batch", width]))
    graph.output.append(helper.make_tensor_value_info(CLASS_TRAITS, TensorProto.FLOAT, [len(COARSE), width]))
    return extended
