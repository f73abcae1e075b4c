"""Domain classifier: the probability that a cell comes from another laboratory than the one that validated the model.

One temperature calibrates one laboratory; in others the same network is overconfident (Ovadia et al., "Can you trust
your model's uncertainty?", NeurIPS 2019). A linear classifier on the embedding tells the reference laboratory from the
other laboratories of the training, and the temperature rises with its probability. The factor is a setting of the
recipe, measured by leave-one-laboratory-out.
"""

from __future__ import annotations

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.core.errors import TrainingError
from leukopy.taxonomy import find
from leukopy.training.sources import DRAWN

FOREIGN = "foreign_probability"
CELLS = 1500
"""Maximum number of cells of one laboratory; more do not change the classifier."""

Boundary = tuple[NDArray[np.float32], float]
"""Weights (D,) and bias, for an embedding of length 1."""


def cells_to_tell(cells: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Training cells of each laboratory, at most `CELLS`; not the drawn ones, nor a laboratory of a single class.

    With a laboratory of a single class, the classifier would learn the class.

    Args:
        cells: training cells, with ``source`` and ``code``.
        seed: of the choice.
    """
    chosen = []
    for (source,), of_source in cells.group_by("source", maintain_order=True):
        if source != DRAWN and len({find(code).coarse or code for code in of_source["code"].unique()}) > 1:
            chosen.append(of_source.sample(min(CELLS, len(of_source)), seed=seed))
    return pl.concat(chosen) if chosen else cells.head(0)


def fit_boundary(embeddings: NDArray[np.float32], foreign: NDArray[np.bool_]) -> Boundary:
    """Logistic regression of foreign against reference cells; both sides weigh the same.

    Args:
        embeddings: (N, D).
        foreign: (N,).

    Raises:
        TrainingError: all cells are from one side.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (a second to import)

    if foreign.all() or not foreign.any():
        raise TrainingError(
            "foreign_temperature_factor: the recipe has no second laboratory of several classes, so foreign cells "
            "cannot be learnt. Add a source, or set it to 1."
        )
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True).clip(min=1e-6)
    fitted = LogisticRegression(C=30, class_weight="balanced", max_iter=2000).fit(embeddings / lengths, foreign)
    return fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])


def with_foreign_probability(model: onnx.ModelProto, boundary: Boundary) -> onnx.ModelProto:
    """Add ``foreign_probability`` (N,): the probability that a cell is foreign, from its embedding."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    weights, bias = boundary
    graph.initializer.extend([
        numpy_helper.from_array(weights[:, None].copy(), f"{FOREIGN}.weight"),
        numpy_helper.from_array(np.array([bias], np.float32), f"{FOREIGN}.bias"),
        numpy_helper.from_array(np.array([1], np.int64), f"{FOREIGN}.axis"),
        numpy_helper.from_array(np.array(1e-6, np.float32), f"{FOREIGN}.least"),
    ])  # fmt: skip
    for operator, inputs, output in (
        ("ReduceL2", ["embedding", f"{FOREIGN}.axis"], f"{FOREIGN}.norm"),
        ("Max", [f"{FOREIGN}.norm", f"{FOREIGN}.least"], f"{FOREIGN}.length"),
        ("Div", ["embedding", f"{FOREIGN}.length"], f"{FOREIGN}.direction"),
        ("Gemm", [f"{FOREIGN}.direction", f"{FOREIGN}.weight", f"{FOREIGN}.bias"], f"{FOREIGN}.side"),
        ("Sigmoid", [f"{FOREIGN}.side"], f"{FOREIGN}.chance"),
        ("Squeeze", [f"{FOREIGN}.chance", f"{FOREIGN}.axis"], FOREIGN),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output], name=output))
    graph.output.append(helper.make_tensor_value_info(FOREIGN, TensorProto.FLOAT, ["batch"]))
    return extended
