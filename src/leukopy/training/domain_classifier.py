"""A network tells how likely a cell is to be from elsewhere than the laboratory that validated it.

One temperature calibrates one laboratory; in others the same network is too sure (Ovadia et al., "Can you trust your
model's uncertainty?", NeurIPS 2019). So that it is warmer there, a linear classifier on the embedding tells the two
apart, and the temperature rises with what it says. How far is a setting of the recipe, measured on laboratories left
out; which cells are from elsewhere is learnt from the other laboratories of the training.
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

ELSEWHERE = "elsewhere"
CELLS = 1500
"""Of one laboratory, at most: more do not change what is learnt."""

Boundary = tuple[NDArray[np.float32], float]
"""Weights (D,) and bias, for an embedding of length 1."""


def cells_to_tell(cells: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Training cells of each laboratory, at most `CELLS`; not the drawn ones, nor a laboratory of a single class.

    Where a laboratory shows one class alone, what is learnt would be the class.

    Args:
        cells: training cells, with ``source`` and ``code``.
        seed: of the choice.
    """
    chosen = []
    for (source,), of_source in cells.group_by("source", maintain_order=True):
        if source != DRAWN and len({find(code).coarse or code for code in of_source["code"].unique()}) > 1:
            chosen.append(of_source.sample(min(CELLS, len(of_source)), seed=seed))
    return pl.concat(chosen) if chosen else cells.head(0)


def fit_boundary(embeddings: NDArray[np.float32], elsewhere: NDArray[np.bool_]) -> Boundary:
    """Logistic regression that tells cells from elsewhere; both sides weigh the same.

    Args:
        embeddings: (N, D).
        elsewhere: (N,).

    Raises:
        TrainingError: all cells are from one side.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (a second to import)

    if elsewhere.all() or not elsewhere.any():
        raise TrainingError(
            "elsewhere: the recipe has no second laboratory of several classes, so what cells from elsewhere look like "
            "cannot be learnt. Add a source, or set elsewhere to 1."
        )
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True).clip(min=1e-6)
    fitted = LogisticRegression(C=30, class_weight="balanced", max_iter=2000).fit(embeddings / lengths, elsewhere)
    return fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])


def with_elsewhere(model: onnx.ModelProto, boundary: Boundary) -> onnx.ModelProto:
    """Add ``elsewhere`` (N,): the chance, 0 to 1, that a cell is from elsewhere, by its embedding."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    weights, bias = boundary
    graph.initializer.extend([
        numpy_helper.from_array(weights[:, None].copy(), f"{ELSEWHERE}.weight"),
        numpy_helper.from_array(np.array([bias], np.float32), f"{ELSEWHERE}.bias"),
        numpy_helper.from_array(np.array([1], np.int64), f"{ELSEWHERE}.axis"),
        numpy_helper.from_array(np.array(1e-6, np.float32), f"{ELSEWHERE}.least"),
    ])  # fmt: skip
    for operator, inputs, output in (
        ("ReduceL2", ["embedding", f"{ELSEWHERE}.axis"], f"{ELSEWHERE}.norm"),
        ("Max", [f"{ELSEWHERE}.norm", f"{ELSEWHERE}.least"], f"{ELSEWHERE}.length"),
        ("Div", ["embedding", f"{ELSEWHERE}.length"], f"{ELSEWHERE}.direction"),
        ("Gemm", [f"{ELSEWHERE}.direction", f"{ELSEWHERE}.weight", f"{ELSEWHERE}.bias"], f"{ELSEWHERE}.side"),
        ("Sigmoid", [f"{ELSEWHERE}.side"], f"{ELSEWHERE}.chance"),
        ("Squeeze", [f"{ELSEWHERE}.chance", f"{ELSEWHERE}.axis"], ELSEWHERE),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output], name=output))
    graph.output.append(helper.make_tensor_value_info(ELSEWHERE, TensorProto.FLOAT, ["batch"]))
    return extended
