"""The linear head of a network in ONNX: read it, and replace it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import BundleError, MissingExtraError

if TYPE_CHECKING:
    import onnx

Head = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights (F, D) and bias (F,): logits = embedding @ weights.T + bias."""

_ACTIVATION = "class_activation"


def linear_head(model: onnx.ModelProto) -> Head:
    """The head that computes the logits from the embedding.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    node = _head_node(model)
    constants = {constant.name: constant for constant in model.graph.initializer}
    weights, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
    return np.ascontiguousarray(weights if _transposed(node) else weights.T), bias


def read_head(content: bytes) -> Head:
    """The `linear_head` of the content of a ``model.onnx``."""
    return linear_head(_load(content))


def with_head(content: bytes, head: Head) -> bytes:
    """The same network with another head, in its logits and, where present, its class activations.

    Args:
        content: of a ``model.onnx``.
        head: of the same shapes.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
        MissingExtraError: onnx is not installed.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    model = _load(content)
    node = _head_node(model)
    weights, bias = (np.asarray(part, np.float32) for part in head)
    wanted = {node.input[1]: weights if _transposed(node) else weights.T, node.input[2]: bias}
    wanted |= {f"{_ACTIVATION}.weight": weights[:, :, None, None], f"{_ACTIVATION}.bias": bias}
    for constant in model.graph.initializer:
        if constant.name in wanted:
            values = np.ascontiguousarray(wanted[constant.name])
            if tuple(constant.dims) != values.shape:
                raise BundleError(f"a head of shape {values.shape} cannot replace one of {tuple(constant.dims)}.")
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    return bytes(model.SerializeToString())


def _load(content: bytes) -> onnx.ModelProto:
    try:
        import onnx  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("changing a network's head", "adapt") from error
    return onnx.load_from_string(content)


def _head_node(model: onnx.ModelProto) -> onnx.NodeProto:
    node: onnx.NodeProto | None = next((node for node in model.graph.node if "logits" in node.output), None)
    if node is None or node.op_type != "Gemm" or node.input[0] != "embedding":
        raise BundleError("the network's logits are not a linear function of its embedding: it has no linear head.")
    return node


def _transposed(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
