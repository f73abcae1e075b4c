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
    _add_evidence(extended.graph, head, stages, OUTSIDE, OUTSIDE)
    _declare_output(extended.graph, len(head[1]) - len(FINE))
    return extended


def with_more_outside(
    model: onnx.ModelProto, head: Head, kept: Sequence[int], stages: Sequence[str] = STAGES
) -> onnx.ModelProto:
    """Give ``outside`` (N, J + K) further classes: J columns that it has, then `outside_logits` of a linear head.

    Args:
        model: a network, with or without an output ``outside``.
        head: as for `with_outside`.
        kept: J columns of its present output.
        stages: as for `with_outside`.

    Raises:
        BundleError: the network has no such stages.
    """
    if not kept:
        return with_outside(model, head, stages)
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    graph = extended.graph
    prefix = f"{OUTSIDE}.{sum(node.name.endswith('.kept') for node in graph.node)}"
    last = next(node for node in graph.node if OUTSIDE in node.output)
    last.output[0] = f"{prefix}.earlier"
    last.name = last.name if last.name != OUTSIDE else f"{prefix}.earlier"
    graph.initializer.append(numpy_helper.from_array(np.array(kept, np.int64), f"{prefix}.columns"))
    parts = [add_node(graph, "Gather", [f"{prefix}.earlier", f"{prefix}.columns"], f"{prefix}.kept", axis=1)]
    parts.append(_add_evidence(graph, head, stages, f"{prefix}.more", f"{prefix}.added"))
    add_node(graph, "Concat", parts, OUTSIDE, axis=1)
    for output in [one for one in graph.output if one.name == OUTSIDE]:
        graph.output.remove(output)
    _declare_output(graph, len(kept) + len(head[1]) - len(FINE))
    return extended


def read_rows(model: onnx.ModelProto, head: Head, count: int) -> Head | None:
    """The rows of the last ``count`` classes outside, on the scale of the logits: weights (K, D) and bias (K,).

    None where the network answers fewer, or where they were fitted apart from the fine classes.

    Args:
        model: a network.
        head: that gives its logits.
        count: K.
    """
    found = {one.name: one for one in model.graph.initializer if one.name.split(".")[0] == OUTSIDE}
    weights = [name for name in found if name.endswith(".weight")]
    if not count or not weights:
        return None
    name = weights[-1]  # the last one added
    rows = numpy_helper.to_array(found[name]).T
    bias = numpy_helper.to_array(found[name.removesuffix("weight") + "bias"])
    known, fitted = head[0][:, : rows.shape[1]], rows[: len(FINE)]
    if len(bias) - len(FINE) != count or fitted.shape != known.shape:
        return None
    scale = float((known * known).sum() / max((known * fitted).sum(), 1e-12))
    if not np.allclose(fitted * scale, known, rtol=0.01, atol=1e-3 * np.abs(known).max()):
        return None
    return np.asarray(rows[len(FINE) :] * scale, np.float32), np.asarray(bias[len(FINE) :] * scale, np.float32)


def read_outside(model: onnx.ModelProto) -> Head | None:
    """The head of `with_outside`: weights (F + K, D + W) and bias (F + K,); None where the network has none."""
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    if f"{OUTSIDE}.weight" not in found:
        return None
    return found[f"{OUTSIDE}.weight"].T, found[f"{OUTSIDE}.bias"]


def replace_outside(model: onnx.ModelProto, head: Head) -> onnx.ModelProto:
    """The network with another head in place of that of `read_outside`, of the same shape."""
    replaced = onnx.ModelProto()
    replaced.CopyFrom(model)
    values = {f"{OUTSIDE}.weight": np.ascontiguousarray(head[0].T, np.float32), f"{OUTSIDE}.bias": head[1]}
    for one in replaced.graph.initializer:
        if one.name in values:
            one.CopyFrom(numpy_helper.from_array(values[one.name].astype(np.float32), one.name))
    return replaced


def _declare_output(graph: onnx.GraphProto, classes: int) -> None:
    graph.output.append(helper.make_tensor_value_info(OUTSIDE, TensorProto.FLOAT, ["batch", classes]))


def _add_evidence(graph: onnx.GraphProto, head: Head, stages: Sequence[str], prefix: str, output: str) -> str:
    """Add the nodes of `outside_logits` of a linear head, named under a prefix; return the name of their output."""
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
        graph.initializer.append(numpy_helper.from_array(value, f"{prefix}.{name}"))
    wide = "embedding"
    if stages:
        wide = add_node(graph, "Concat", [wide, add_details(graph, stages, prefix)], f"{prefix}.wide", axis=1)
    evidence = add_node(graph, "Gemm", [wide, f"{prefix}.weight", f"{prefix}.bias"], f"{prefix}.evidence")
    parts = [
        add_node(graph, "Slice", [evidence, *(f"{prefix}.{name}" for name in (*ends, "axis"))], f"{prefix}.{part}")
        for part, ends in (("known", ("zero", "fine")), ("others", ("fine", "end")))
    ]
    # Evidence minus its log-softmax is the same in each column: the logarithm of their sum, for evidence of any size.
    shares = add_node(graph, "LogSoftmax", [parts[0]], f"{prefix}.shares", axis=1)
    sums = add_node(graph, "Sub", [parts[0], shares], f"{prefix}.sums")
    first = [f"{prefix}.{name}" for name in ("zero", "one", "axis")]
    together = add_node(graph, "Slice", [sums, *first], f"{prefix}.together")
    return add_node(graph, "Sub", [parts[1], together], output)


def without_outside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the parts of `with_outside`, so that it can be fitted again."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    for field in (extended.graph.node, extended.graph.initializer, extended.graph.output):
        kept = [part for part in field if part.name.split(".")[0] != OUTSIDE]
        del field[:]
        field.extend(kept)
    return extended
