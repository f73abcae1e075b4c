"""Output ``outside`` of an ONNX network: evidence for classes beside the fine ones, from the network as it stands.

Training removed from the embedding most features that separate a blast from a lymphocyte; the maps before it still hold
them (`network.wide_head`). A linear function of both gives evidence for each fine class and each class outside. The
output is the evidence for a class outside against all fine classes together. The classes of the network stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from leukopy.network.head import Head
from leukopy.network.statistics import add_node
from leukopy.network.wide_head import STAGES, add_details
from leukopy.taxonomy import FINE

OUTSIDE = "outside"


def outside_logits(evidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Evidence (N, F + K) of fine classes and classes outside to the logits (N, K) of the latter, the fine ones' 0."""
    known = evidence[:, : len(FINE)].astype(np.float64)
    highest = known.max(axis=1, keepdims=True)
    together = highest + np.log(np.exp(known - highest).sum(axis=1, keepdims=True))
    return np.asarray(evidence[:, len(FINE) :] - together)


def with_outside(model: onnx.ModelProto, head: Head, stages: Sequence[str] = STAGES) -> onnx.ModelProto:
    """Add ``outside`` (N, K): `outside_logits` of a linear head on the wide embedding.

    Args:
        model: a network that has the ``stages``; an earlier ``outside`` is replaced.
        head: weights (F + K, D + W) and bias (F + K,) on `wide_head.with_wide_embedding`.
        stages: of it; none: the head reads the embedding alone.

    Raises:
        BundleError: the network has no such stages.
    """
    extended = without_outside(model)
    graph = extended.graph
    weights, bias = head
    constants: dict[str, NDArray[Any]] = {
        "weight": np.ascontiguousarray(weights.T, np.float32),
        "bias": bias.astype(np.float32),
        "fine": np.array([len(FINE)], np.int64),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "end": np.array([len(bias)], np.int64),
        "axis": np.array([1], np.int64),
    }
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, f"{OUTSIDE}.{name}"))
    wide = "embedding"
    if stages:
        wide = add_node(graph, "Concat", [wide, add_details(graph, stages, OUTSIDE)], f"{OUTSIDE}.wide", axis=1)
    evidence = add_node(graph, "Gemm", [wide, f"{OUTSIDE}.weight", f"{OUTSIDE}.bias"], f"{OUTSIDE}.evidence")
    parts = [
        add_node(graph, "Slice", [evidence, *(f"{OUTSIDE}.{name}" for name in (*ends, "axis"))], f"{OUTSIDE}.{part}")
        for part, ends in (("known", ("zero", "fine")), ("others", ("fine", "end")))
    ]
    # Evidence minus its log-softmax is the same in each column: the logarithm of their sum, for evidence of any size.
    shares = add_node(graph, "LogSoftmax", [parts[0]], f"{OUTSIDE}.shares", axis=1)
    sums = add_node(graph, "Sub", [parts[0], shares], f"{OUTSIDE}.sums")
    first = [f"{OUTSIDE}.{name}" for name in ("zero", "one", "axis")]
    together = add_node(graph, "Slice", [sums, *first], f"{OUTSIDE}.together")
    add_node(graph, "Sub", [parts[1], together], OUTSIDE)
    shape: list[str | int | None] = ["batch", len(bias) - len(FINE)]
    graph.output.append(helper.make_tensor_value_info(OUTSIDE, TensorProto.FLOAT, shape))
    return extended


def without_outside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the parts of `with_outside`, so that it can be fitted again."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    for field in (extended.graph.node, extended.graph.initializer, extended.graph.output):
        kept = [part for part in field if part.name.split(".")[0] != OUTSIDE]
        del field[:]
        field.extend(kept)
    return extended
