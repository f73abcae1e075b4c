"""A head that reads the maps inside a network beside its embedding, added to an ONNX network.

Training removed from the embedding all features that do not separate the classes in the training laboratories. Such
features may separate them in another laboratory. The maps before the embedding still hold them (`map_statistics`). The
new logits are the embedding's logits plus a linear function of these *details*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from leukopy.core.errors import BundleError, MissingExtraError
from leukopy.network.head import Head, read_head, with_head
from leukopy.network.statistics import add_node, add_statistics, convolutions

if TYPE_CHECKING:
    import onnx

WIDE, _ADDED = "wide_embedding", "details"

STAGES = ("blocks.2.0.conv_pw", "blocks.3.0.conv_pw", "blocks.4.0.conv_pw", "blocks.5.0.conv_pw",
          "blocks.6.0.conv_pw", "conv_head")  # fmt: skip
"""Convolutions, by the end of the name of their weights, whose inputs are read: the first after each stage."""

_WEIGHT, _AXES = f"{_ADDED}.weight", f"{_ADDED}.axes"


def has_stages(content: bytes, stages: Sequence[str] = STAGES) -> bool:
    """True where the network of a ``model.onnx`` has each of these convolutions once."""
    graph = _load(content).graph
    return all(len(convolutions(graph, stage)) == 1 for stage in stages)


def with_wide_embedding(content: bytes, stages: Sequence[str] = STAGES) -> tuple[bytes, int]:
    """Add the output ``wide_embedding`` (N, D + W): the embedding, then the channels' means and deviations of each map.

    Args:
        content: of a ``model.onnx`` without a wide head, that has the ``stages``.
        stages: of it.

    Returns:
        Its content, and D + W.
    """
    from onnx import TensorProto, helper  # noqa: PLC0415

    model = _load(content)
    statistics = add_details(model.graph, stages)
    add_node(model.graph, "Concat", ["embedding", statistics], WIDE, axis=1)
    width = _width(model)
    model.graph.output.append(helper.make_tensor_value_info(WIDE, TensorProto.FLOAT, ["batch", width]))
    return bytes(model.SerializeToString()), width


def with_wide_head(content: bytes, head: Head, stages: Sequence[str] = STAGES) -> bytes:
    """The network with a head on `with_wide_embedding`, in its logits and, where present, its class activations.

    The class activations still have the logits as their mean: the details add the same value at all positions.

    Args:
        content: of a ``model.onnx`` without a wide head, that has the ``stages``.
        head: weights (F, D + W) and bias (F,).
        stages: of it.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
        MissingExtraError: onnx is not installed.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    weights, bias = (np.asarray(part, np.float32) for part in head)
    width = read_head(content)[0].shape[1]
    model = _load(with_head(content, (weights[:, :width], bias)))
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(weights[:, width:].T), _WEIGHT))
    graph.initializer.append(numpy_helper.from_array(np.array([2, 3], np.int64), _AXES))
    added = add_node(graph, "MatMul", [add_details(graph, stages), _WEIGHT], f"{_ADDED}.logits")
    spread = add_node(graph, "Unsqueeze", [added, _AXES], f"{_ADDED}.spread")
    for output, addend in (("logits", added), ("class_activation", spread)):
        node = next((node for node in graph.node if output in node.output), None)
        if node is not None:
            node.output[0] = f"{_ADDED}.without.{output}"
            add_node(graph, "Add", [node.output[0], addend], output, name=f"{_ADDED}.with.{output}")
    return bytes(model.SerializeToString())


def without_wide_head(content: bytes) -> tuple[bytes, Head]:
    """The network without the parts of `with_wide_head`, and its whole head: (F, D + W), or (F, D) without a wide head.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
        MissingExtraError: onnx is not installed.
    """
    model = _load(content)
    from onnx import numpy_helper  # noqa: PLC0415

    graph = model.graph
    wide = [numpy_helper.to_array(one).T for one in graph.initializer if one.name == _WEIGHT]
    for field in (graph.node, graph.initializer):
        kept = [part for part in field if not part.name.startswith(f"{_ADDED}.")]
        del field[:]
        field.extend(kept)
    for node in graph.node:
        node.output[0] = node.output[0].removeprefix(f"{_ADDED}.without.")
    plain = bytes(model.SerializeToString())
    weights, bias = read_head(plain)
    return plain, (np.concatenate([weights, *wide], axis=1), bias)


def _load(content: bytes) -> onnx.ModelProto:
    try:
        from onnx import load_from_string  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("changing a network's head", "adapt") from error
    return load_from_string(content)


def add_details(graph: onnx.GraphProto, stages: Sequence[str], prefix: str = _ADDED) -> str:
    """Add the statistics of the stages' maps to a graph, under names with a prefix; return that of the result, (N, F).

    Raises:
        BundleError: the network has not each of these stages once.
    """
    maps = []
    for stage in stages:
        found = convolutions(graph, stage)
        if len(found) != 1:
            raise BundleError(
                f"the network has {len(found)} convolutions named {stage!r}, not one: its maps cannot be read."
            )
        maps.append(found[0][1].input[0])
    return add_statistics(graph, maps, f"{prefix}.statistics")


def _width(model: onnx.ModelProto) -> int:
    """Width of ``wide_embedding``, from the shapes that onnx infers."""
    from onnx import shape_inference  # noqa: PLC0415

    inferred = shape_inference.infer_shapes(model).graph
    shape = next(value.type.tensor_type.shape for value in inferred.value_info if value.name == WIDE)
    return int(shape.dim[1].dim_value)
